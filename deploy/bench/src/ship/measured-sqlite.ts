import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import type { StartMeasured } from "./measured-store.ts";

const LOAD = fileURLToPath(new URL("./sqlite-load.ts", import.meta.url));

/** One application that commits as fast as SQLite lets it. `payments`: rows of many pages are changed; `rows`: one table grows. */
export function measuredSqlite(load: "payments" | "rows"): StartMeasured {
  return async ({ directory }) => {
    const path = join(directory, "app.db");
    const child = spawn(process.execPath, ["--no-warnings", LOAD, path, load], { stdio: ["pipe", "pipe", "inherit"] });
    const told = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    return {
      kind: "sqlite",
      source: (ship) => ({ kind: "sqlite", path, ship }),
      environment: {},
      async settle() {
        await promisify(execFile)("sync");
      },
      async measure(seconds) {
        child.stdin.write(`${seconds}\n`);
        const { value, done } = await told.next();
        if (done === true) throw new Error("the application has ended");
        return Number(value);
      },
      async [Symbol.asyncDispose]() {
        child.stdin.end();
        if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
      },
    };
  };
}
