import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext } from "@stillpoint/driver/driver";

export interface App extends AsyncDisposable {
  sql(sql: string, ...values: (string | number)[]): Promise<Record<string, unknown>[]>;
}

/** Starts an application on a database. */
export async function startApp(path: string, ...first: string[]): Promise<App> {
  const child = fork(fileURLToPath(new URL("./fixtures/app.ts", import.meta.url)), [path], { execArgv: [] });
  const waiting = new Map<number, PromiseWithResolvers<Record<string, unknown>[]>>();
  child.on("message", (message) => {
    // Our own fixture is on the other side.
    const { id, rows, error } = message as { id: number; rows: Record<string, unknown>[]; error?: string };
    if (error === undefined) waiting.get(id)?.resolve(rows);
    else waiting.get(id)?.reject(new Error(error));
    waiting.delete(id);
  });
  let ids = 0;
  const app: App = {
    async sql(sql, ...values) {
      ids += 1;
      const answer = Promise.withResolvers<Record<string, unknown>[]>();
      waiting.set(ids, answer);
      child.send({ id: ids, sql, values });
      return await answer.promise;
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null) return;
      child.disconnect();
      await once(child, "exit");
    },
  };
  // Nothing here survives a crash of the machine, and nothing is asked to.
  await app.sql("PRAGMA synchronous=OFF");
  for (const each of first) await app.sql(each);
  return app;
}

export const SEQUENCES = "CREATE TABLE written (sequence INTEGER PRIMARY KEY, filling TEXT)";

export async function insert(app: App, sequence: number): Promise<void> {
  await app.sql("INSERT INTO written VALUES (?, ?)", sequence, "filling ".repeat(20));
}

/** What still stands in the way of a checkpoint, or of a writer. */
export async function locks(app: App): Promise<string[]> {
  const [row] = await app.sql("PRAGMA wal_checkpoint(TRUNCATE)");
  await app.sql("BEGIN EXCLUSIVE");
  await app.sql("COMMIT");
  return row?.busy === 0 ? [] : ["a reader"];
}

export function driverContext(directory: string, signal: AbortSignal, log: DriverContext["log"] = () => {}) {
  return {
    directory,
    signal,
    tools: {},
    secret: (reference) => {
      throw new StillpointError("SECRET_MISSING", { what: "Cannot read a secret", where: reference });
    },
    monotonicMs: () => performance.now(),
    now: () => Date.now(),
    log,
  } satisfies DriverContext;
}
