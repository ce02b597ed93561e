import { chmod, mkdir, readFile, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { duration } from "@stillpoint/contracts/duration";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange, LogTarget } from "@stillpoint/contracts/log";
import type { LogPiece } from "@stillpoint/driver/recover";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { z } from "zod";
import { openWorkDirectory } from "./export/export-source.ts";
import { exportTools } from "./export/export-tools.ts";
import { parsed } from "./parsed-option.ts";
import { secretReader } from "./secret-reader.ts";
import type { World } from "./world.ts";

/** In the data directory until the server in it was opened: what an earlier command was at. */
const STATE = "stillpoint/recovery.json";
const recoveryState = z.object({ plan: z.string(), source: z.string(), base: z.string() });
export type RecoveryState = z.infer<typeof recoveryState>;

export const recoveryAction = z.enum(["promote", "pause", "shutdown"]);
export type RecoveryAction = z.infer<typeof recoveryAction>;

/** What a recovery in this directory was begun from, if one was and has not ended. */
export async function begunRecovery(directory: string): Promise<RecoveryState | undefined> {
  try {
    return recoveryState.parse(JSON.parse(await readFile(join(directory, STATE), "utf8")));
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}

export type MomentRecovery = RecoveryState & {
  to: string;
  directory: string;
  range: LogRange;
  log: readonly LogPiece[];
  target: LogTarget;
  action: RecoveryAction;
  patienceMs: number;
  cutId: string;
  /** The base is there, and a server was perhaps started on it. */
  isBegun: boolean;
  /** Lays the base, or one file of it, into a directory. */
  extract: (directory: string, path?: string) => Promise<void>;
  /** What is done now. */
  say: (step: string) => void;
};

/** Recovers a base with the machine's own PostgreSQL, which is given the log as it asks for it; the server is stopped at the end. */
export async function recoverMoment(world: World, how: MomentRecovery) {
  const { to, directory, range, log, target, action, patienceMs, cutId, extract, say } = how;
  const [{ recoverServed }, { serverProgram }] = await Promise.all([
    import("@stillpoint/driver-postgres/archive/recover-served"),
    import("@stillpoint/driver-postgres/sandbox"),
  ]);
  await using home = await claimDirectory(await openWorkDirectory(undefined), "recover");
  await chmod(home.path, 0o711);
  const own = join(home.path, "own");
  await mkdir(own, { mode: 0o700 });
  // Before the base is fetched, which may take hours: whether there is a server for it.
  await extract(own, "PG_VERSION");
  const major = (await readFile(join(own, "PG_VERSION"), "utf8")).trim();
  const runtime = { id: `pg${major}`, version: major, arch: "", extensions: [], settings: {} };
  const tools = await exportTools({ kind: "postgres", runtime }, world.environment);
  const context = {
    directory: own,
    signal: world.signal,
    secret: secretReader(world),
    monotonicMs: world.clock.monotonicMs,
    now: world.clock.now,
    log: () => undefined, // figures for an agent's log; here the progress says what a person needs
    tools,
  };
  await serverProgram(own, context);
  if (!how.isBegun) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    // The server runs as an account of its own, which must get through to its data.
    if (tools.serverUser !== undefined) await chmod(to, 0o711);
    await extract(directory);
    const state: RecoveryState = { plan: how.plan, source: how.source, base: how.base };
    await writeFile(join(directory, STATE), `${JSON.stringify(state)}\n`, { mode: 0o600 });
  }
  let taken = 0;
  say("starting the server");
  const ended = await recoverServed(
    {
      directory,
      base: range,
      log,
      target,
      action,
      patienceMs,
      cutId,
      taken: (name) => {
        taken += 1;
        say(`recovering, ${taken} files of the log taken, now ${name}`);
      },
      paused: ({ socketDirectory, port, user, recovered }) => {
        world.errorLine(`  ${recovered}`);
        world.errorLine(`  the server stands there: psql -h ${socketDirectory} -p ${port} -U ${user}`);
        world.errorLine("  Ctrl-C stops it as it is; select pg_wal_replay_resume() opens it, and then it is stopped");
      },
    },
    context,
  );
  if (ended.opened) await rm(join(directory, STATE), { force: true });
  return { ...ended, taken };
}

export const parsePatience = parsed(duration, "for how long the log is tried for");

export function parseAction(text: string): RecoveryAction {
  const parsed = recoveryAction.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read what the server is to do at its target",
    where: `--action ${text}`,
    why: `it is none of: ${recoveryAction.options.join(", ")}`,
  });
}
