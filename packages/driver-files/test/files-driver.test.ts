import { mkdir, rename, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { filesSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { driverConformance } from "@stillpoint/driver/test/conformance";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe } from "vitest";
import { filesDriver } from "../src/files-driver.ts";

function contextOf(directory: string, signal: AbortSignal): DriverContext {
  return {
    directory,
    signal,
    secret: () => {
      throw new Error("files have no secrets");
    },
    monotonicMs: () => performance.now(),
    now: Date.now,
    log: () => undefined,
    tools: {},
  };
}

describe("files", () => {
  driverConformance("files", async () => {
    const directory = await temporaryDirectory("files");
    const { path } = directory;
    const [config, uploads] = [join(path, "config"), join(path, "uploads")];
    for (const each of [config, uploads]) await mkdir(each);
    await writeFile(join(config, "app.yaml"), "port: 80\n", { mode: 0o640 });
    await symlink("app.yaml", join(config, "current.yaml"));
    const source = filesSource.parse({ kind: "files", paths: [config, uploads] });
    return {
      driver: filesDriver,
      source,
      unreachable: { ...source, paths: [join(path, "nowhere")] },
      context: contextOf,
      write: async (sequence) => {
        const file = join(uploads, `${sequence}.json`);
        await writeFile(`${file}.part`, JSON.stringify({ id: `id-${sequence}`, seq: sequence }), { flush: true });
        await rename(`${file}.part`, file);
      },
      highest: "uploads/*.json#seq",
      traces: async () => [],
      [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose](),
    };
  });
});
