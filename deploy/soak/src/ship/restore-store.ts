import { chmod, mkdir } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { agentSettings, toolsOf } from "@stillpoint/agent/settings";
import { startSandbox } from "@stillpoint/cli/drivers";
import { restore } from "@stillpoint/cli/restore";
import { restoreMoment } from "@stillpoint/cli/restore-moment";
import type { World } from "@stillpoint/cli/world";
import { StillpointError } from "@stillpoint/contracts/errors";
import { type Mark, mark, type Point } from "@stillpoint/contracts/point";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { z } from "zod";
import type { Found, WrittenStore } from "./probes.ts";
import { failedChecks } from "./restore-checks.ts";

/** Where a store's log is, and with what it is opened. */
export type Shelf = { plan: string; repository: string; keyFile: string };

export type RestoredFrom = {
  world: World;
  shelf: Shelf;
  /** For restored trees; servers that do not run as root can reach it. */
  scratch: string;
  /** Where the stores' programs lie, as an agent is told it. */
  environment: Record<string, string>;
};

const told = z.object({ directory: z.string(), mark, ms: z.number(), reads: z.array(z.object({ type: z.string() })) });
const pointTold = z.object({ sources: z.array(z.object({ directory: z.string(), mark })) });
const QUESTION =
  "select (select coalesce(max(n), 0) from probe) as newest, (select count(*) from probe) as rows, (select sum(balance) from account) as balance";

export type Restored = { found: Found; closed: number; tails: number; ms: number };

/** Restores a store as a person does, by `stillpoint restore --at`, starts it, and asks what it holds. */
export async function restoreStore(
  from: RestoredFrom,
  store: Pick<WrittenStore, "source" | "kind">,
  at: string,
  /** With the store's own checks, which take their time. */
  { checked = false } = {},
): Promise<Restored> {
  const { world, shelf } = from;
  const begunMs = world.clock.monotonicMs();
  await using home = await emptyHome(from);
  const options = { ...shelf, ...PLAINLY, source: store.source, to: home.to, at, exclusive: false, json: true };
  const restored = told.parse(await saidBy(world, (said) => restoreMoment(said, options)));
  const found = await ask(from, store, home, restored, checked);
  const ms = world.clock.monotonicMs() - begunMs;
  const closed = restored.reads.filter(({ type }) => type === "closed").length;
  return { found, closed, tails: restored.reads.length - closed, ms };
}

/** What a command prints as JSON. */
async function saidBy(world: World, run: (said: World) => Promise<unknown>): Promise<unknown> {
  const out: string[] = [];
  await run({ ...quiet(world), out: (text) => void out.push(text) });
  return JSON.parse(out.join(""));
}

/** Restores a store's part of a point, by `stillpoint restore <point>`, starts it, checks it, and asks what it holds. */
export async function restorePoint(
  from: RestoredFrom,
  store: Pick<WrittenStore, "source" | "kind">,
  { pointId }: Pick<Point, "pointId">,
): Promise<Pick<Restored, "found" | "ms">> {
  const { world, shelf } = from;
  const begunMs = world.clock.monotonicMs();
  await using home = await emptyHome(from);
  const options = { ...shelf, ...PLAINLY, source: store.source, to: home.to, json: true };
  const { sources } = pointTold.parse(await saidBy(world, (said) => restore(said, pointId, options)));
  const [restored] = sources;
  if (restored === undefined) throw new Error(`nothing of ${store.source} was restored`);
  const found = await ask(from, store, home, restored, true);
  return { found, ms: world.clock.monotonicMs() - begunMs };
}

const PLAINLY = { over: false, dryRun: false, thaw: false } as const;

function quiet(world: World): World {
  return { ...world, out: () => undefined, errorLine: () => undefined };
}

/** Where a tree is restored to, gone at its disposal. */
async function emptyHome({ scratch }: RestoredFrom) {
  const home = await claimDirectory(scratch, "restored");
  await chmod(home.path, 0o711); // servers run as an account of their own, which passes through
  const to = join(home.path, "tree");
  return { path: home.path, to, [Symbol.asyncDispose]: () => home[Symbol.asyncDispose]() };
}

async function ask(
  from: RestoredFrom,
  { kind }: Pick<WrittenStore, "kind">,
  { path, to }: { path: string; to: string },
  restored: { directory: string; mark: Mark },
  checked: boolean,
): Promise<Found> {
  await chmod(to, 0o711);
  if (kind === "sqlite") return askSqlite(join(restored.directory, "sessions.db"));
  return await askPostgres(from, path, restored.directory, restored.mark, checked);
}

function askSqlite(path: string): Found {
  const database = new DatabaseSync(path);
  try {
    const problem = database.prepare("pragma integrity_check").get();
    if (problem?.integrity_check !== "ok") throw new Error(`integrity_check says: ${problem?.integrity_check}`);
    const row = database.prepare(QUESTION).get();
    return { newest: Number(row?.newest), rows: Number(row?.rows), balance: Number(row?.balance), failed: [] };
  } finally {
    database.close();
  }
}

async function askPostgres(
  { world, environment }: RestoredFrom,
  home: string,
  directory: string,
  at: Mark,
  checked: boolean,
): Promise<Found> {
  const own = join(home, "own");
  await mkdir(own, { mode: 0o700 });
  const settings = { ...environment, STILLPOINT_WORK_DIRECTORY: own, STILLPOINT_OPEN_SANDBOXES: "true" };
  await using sandbox = await startSandbox(
    "postgres",
    { directory, mark: at, runtime: { id: "pg", version: "", arch: "", extensions: [], settings: {} } },
    {
      directory: own,
      signal: world.signal,
      tools: toolsOf(agentSettings.parse(settings)),
      monotonicMs: world.clock.monotonicMs,
      now: world.clock.now,
      log: () => undefined,
      secret: (reference) => {
        throw new StillpointError("SECRET_MISSING", {
          what: "A restore asked for a secret of the source",
          where: reference,
        });
      },
    },
  );
  const [row] = await Array.fromAsync(sandbox.query({ type: "statement", id: "probe", text: QUESTION }));
  if (row === undefined || !("values" in row)) throw new Error(`the restored server answered ${JSON.stringify(row)}`);
  const [newest, rows, balance] = row.values.map(Number);
  return {
    newest: newest ?? 0,
    rows: rows ?? 0,
    balance: balance ?? Number.NaN,
    failed: checked ? await failedChecks(sandbox) : [],
  };
}
