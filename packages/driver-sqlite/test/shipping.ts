import { fork } from "node:child_process";
import { once } from "node:events";
import { readFile } from "node:fs/promises";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { flushAsks } from "@stillpoint/driver/flush-asks";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { SHIP_LIMITS, type ShipLimits } from "../src/ship-limits.ts";
import { createSqliteDriver } from "../src/sqlite-driver.ts";
import { driverContext } from "./app.ts";
import { type Bench, extracted } from "./capturing.ts";
import { type DirectorySink, shipOptions } from "./sink.ts";

export type Written = { sequence: number; begun: number; acknowledged: number };

export interface Writer extends AsyncDisposable {
  readonly written: readonly Written[];
  reached(more: number): Promise<void>;
  pause(): Promise<void>;
  resume(): void;
  /** kill -9. */
  kill(): Promise<void>;
}

/** Starts an application that writes all the time. */
export function startWriter(path: string, checkpointPages = 1000): Writer {
  const program = fileURLToPath(new URL("./fixtures/writer.ts", import.meta.url));
  const child = fork(program, [path, String(checkpointPages)], { execArgv: [] });
  const written: Written[] = [];
  let failure: string | undefined;
  let isPaused = false;
  child.on("message", (message) => {
    // Our own fixture is on the other side.
    const { told, failed, paused } = message as { told?: [number, number, number][]; failed?: string; paused?: true };
    for (const [sequence, begun, acknowledged] of told ?? []) written.push({ sequence, begun, acknowledged });
    failure ??= failed;
    isPaused ||= paused === true;
  });
  const check = () => {
    if (failure !== undefined) throw new Error(`the application was refused: ${failure}`);
  };
  return {
    written,
    async reached(more) {
      const until = written.length + more;
      await waitFor(`${until} rows were written`, () => {
        check();
        return written.length >= until;
      });
    },
    async pause() {
      isPaused = false;
      child.send("pause");
      await waitFor("the application is quiet", () => isPaused);
      check();
    },
    resume() {
      child.send("resume");
    },
    async kill() {
      child.kill("SIGKILL");
      if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
    },
    async [Symbol.asyncDispose]() {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.disconnect();
      await once(child, "exit");
    },
  };
}

export interface Shipping extends AsyncDisposable {
  /** Ends with what `ship` ends with. */
  readonly ended: Promise<void>;
  /** All that is committed now is in the sink. */
  caughtUp(): Promise<void>;
  /** Somebody waits for what is committed now. */
  askFlush(): void;
  /** Flushes and ends. */
  stop(): Promise<void>;
}

export async function startShipping(
  bench: Bench,
  sink: DirectorySink,
  pattern: string,
  { flushMs = 100, ...limits }: Partial<ShipLimits> & { flushMs?: number } = {},
  log?: Parameters<typeof driverContext>[2],
): Promise<Shipping> {
  const stop = new AbortController();
  const abort = new AbortController();
  const driver = createSqliteDriver(
    { walLimitBytes: 64 << 20, watchEveryMs: 500 },
    { ...SHIP_LIMITS, lookEveryMs: 20, ...limits },
  );
  let flushes = 0;
  let failure: { error: unknown } | undefined;
  const count = () => {
    flushes += 1;
  };
  const asks = flushAsks();
  const options = {
    ...shipOptions(sink, stop.signal, count, await sink.held()),
    flushMs,
    flushSoon: asks.next,
  };
  const context = driverContext(await bench.fresh(), abort.signal, log);
  const ended = driver.ship(bench.source(pattern), options, context);
  ended.catch((error: unknown) => {
    failure = { error };
  });
  const flushed = async (times: number) => {
    const until = flushes + times;
    await waitFor("the log was flushed", () => {
      if (failure !== undefined) throw failure.error;
      return flushes >= until;
    });
  };
  await flushed(1);
  return {
    ended,
    askFlush: asks.ask,
    // One may have begun before, the other may have read nothing new.
    caughtUp: async () => await flushed(3),
    async stop() {
      stop.abort();
      await ended;
    },
    async [Symbol.asyncDispose]() {
      abort.abort();
      await ended.catch(() => undefined);
    },
  };
}

/** A base of the source as it is now, in a directory of its own. */
export async function takeBase(bench: Bench, pattern: string): Promise<string> {
  const capture = await bench.open(pattern);
  try {
    const directory = await bench.fresh();
    await extracted(directory, async (tree) => await capture.base(tree));
    return directory;
  } finally {
    await capture[Symbol.asyncDispose]();
  }
}

/** The rows of a restored database, which are checked to be a whole number of transactions. */
export function rowsOf(path: string): number {
  const database = new DatabaseSync(path);
  try {
    const one = (sql: string) => Number(Object.values(database.prepare(sql).get() ?? {})[0]);
    const [rows, last, total] = [
      one("SELECT count(*) FROM written"),
      one("SELECT coalesce(max(sequence), 0) FROM written"),
      one("SELECT rows FROM total"),
    ];
    const [sound] = Object.values(database.prepare("PRAGMA integrity_check").get() ?? {});
    if (sound !== "ok" || rows !== last || rows !== total) {
      throw new Error(`${sound}; ${rows} rows, the last is ${last}, ${total} were counted`);
    }
    return rows;
  } finally {
    database.close();
  }
}

/** Processes of the driver that a process started. */
export async function holdersOf(pid: number): Promise<number[]> {
  const children = await readFile(`/proc/${pid}/task/${pid}/children`, "utf8");
  const pids = children.trim().split(" ").filter(Boolean).map(Number);
  const commands = await Promise.all(pids.map(async (each) => await readFile(`/proc/${each}/cmdline`, "utf8")));
  return pids.filter((_, index) => commands[index]?.includes("holder.ts"));
}
