import { execFile } from "node:child_process";
import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { fetchOnce } from "@stillpoint/parts/fetch-once";
import { findPython, installPython } from "@stillpoint/parts/python-packages";
import { PARTS_DIRECTORY } from "./parts-directory.ts";

export const RESTORE_PY = fileURLToPath(new URL("../../../docs/restore.py", import.meta.url));

export type Ran = { code: number; stdout: string; stderr: string };

const REQUIREMENTS = fileURLToPath(new URL("./requirements.txt", import.meta.url));

/** Runs Python programs with the two packages that restore.py needs, and no other: pinned, with hashes, fetched once. */
export async function preparePython(): Promise<(program: string, args: readonly string[]) => Promise<Ran>> {
  const python = await findPython(process.env);
  const hash = createHash("sha256")
    .update(await readFile(REQUIREMENTS))
    .digest("hex")
    .slice(0, 8);
  const options = { directory: PARTS_DIRECTORY };
  const packages = await fetchOnce(options, `restore-py-${hash}`, (temporary) =>
    installPython(["--require-hashes", "-r", REQUIREMENTS], temporary, { ...options, withDependencies: true }),
  );
  const env = { PATH: process.env.PATH, PYTHONPATH: packages, PYTHONDONTWRITEBYTECODE: "1", LC_ALL: "C.UTF-8" };
  return (program, args) =>
    new Promise((resolve, reject) => {
      execFile(python, [program, ...args], { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) => {
        if (error !== null && typeof error.code !== "number") reject(error);
        else resolve({ code: Number(error?.code ?? 0), stdout, stderr });
      });
    });
}

export async function prepareRestore(): Promise<(...args: string[]) => Promise<Ran>> {
  const run = await preparePython();
  return (...args) => run(RESTORE_PY, args);
}
