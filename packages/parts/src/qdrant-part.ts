import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { findOnPath } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { firstThatWorks, notInstalled } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";
import { findPython, installPython } from "./python-packages.ts";

/** How a Qdrant is started. `isDouble` goes wherever it is shown: the double is never called Qdrant. */
export type QdrantPart = {
  readonly command: readonly [string, ...string[]];
  readonly env: Readonly<Record<string, string>>;
  readonly isDouble: boolean;
};

/** A real Qdrant on PATH. There is none to fetch: a user gives its address, or Docker runs it. */
export async function ensureQdrant(options: PartOptions): Promise<QdrantPart> {
  const [command] = await findOnPath("qdrant", options.env ?? process.env);
  if (command !== undefined) return { command: [command], env: {}, isDouble: false };
  throw notInstalled(
    "Qdrant",
    ["no qdrant is on PATH, and there is no package to fetch it from"],
    "put qdrant on PATH, or name a running server's address in the plan",
  );
}

/**
 * The test double in the folder `double`: `server.py` and `requirements.txt`, whose packages are fetched here. The
 * folder is named by the caller, for this package knows parts and no test.
 */
export async function ensureQdrantDouble(options: PartOptions, double: string): Promise<QdrantPart> {
  return firstThatWorks("the Qdrant test double", "install Python 3.10 or newer with pip", [
    async () => {
      const requirements = await readFile(join(double, "requirements.txt"), "utf8");
      const packages = requirements.split("\n").filter((line) => line.trim() !== "" && !line.startsWith("#"));
      const name = `qdrant-double-${createHash("sha256").update(packages.join("\n")).digest("hex").slice(0, 8)}`;
      const directory = await fetchOnce(options, name, async (temporary) => {
        options.log?.("Qdrant test double: fetching its engine (20 MB)");
        await installPython(packages, temporary, { ...options, withDependencies: true });
      });
      const python = await findPython(options.env ?? process.env);
      const env = { PYTHONPATH: directory, PYTHONDONTWRITEBYTECODE: "1", PYTHONUNBUFFERED: "1" };
      return { command: [python, join(double, "server.py")], env, isDouble: true };
    },
  ]);
}
