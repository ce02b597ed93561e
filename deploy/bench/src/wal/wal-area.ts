import { chmod, mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { followRun } from "@stillpoint/cli/follow";
import { requestBackup } from "@stillpoint/contracts/people";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultLogToken } from "@stillpoint/contracts/vault";
import { unprivilegedUser } from "@stillpoint/parts/server-user";
import { settled } from "@stillpoint/repository/bench/compare";
import { against, type Figure, figure } from "@stillpoint/repository/bench/figure";
import type { Area } from "../area.ts";
import { findPgBackRest } from "../capture/pgbackrest.ts";
import { PLAN, type ShippedSystem, startShippedSystem, until, worldIn } from "../ship/shipped-system.ts";
import { type ArchiveWay, byCommand, byCopy, startServing } from "./archive-way.ts";
import { type FilledServer, readyToArchive, startFilledServer } from "./filled-server.ts";

const PARTS = fileURLToPath(new URL("../../../../.stillpoint/parts", import.meta.url));
const SOURCE = "orders";
const SEGMENT_MEGABYTES = 16.8;
/** Each way has its own, and there are two of ours. */
const [FEWEST, MOST] = [4, 20];
const REQUEST = { timeoutMs: 10_000 };
const NO_BOARD = { show: () => undefined, tick: () => undefined };

export type WalRates = { name: string; push: number; fetch: number };

/** Full segments a second by archive_command and restore_command, one after the other, beside other archivers. */
export const wal: Area = async ({ megabytes, stores, log }) => {
  if (stores.length > 0 && !stores.includes("postgres")) return [];
  const base = await mkdtemp(join(tmpdir(), "stillpoint-bench-"));
  try {
    await chmod(base, 0o711); // servers that do not run as root pass through
    await using filled = await startFilledServer(base, PARTS);
    const count = Math.min(MOST, Math.max(FEWEST, Math.round(megabytes / SEGMENT_MEGABYTES / 2)));
    const names = await filled.segments(2 * count);
    log(`${names.length} segments of PostgreSQL ${filled.version}`);
    await using system = await startSystemFor(filled, base);
    const { pushing, fetching } = await environments(system, base);
    const [first, second] = [names.slice(0, count), names.slice(count)];
    const rated = async (name: string, way: Partial<ArchiveWay>, own: readonly string[]) => {
      const rates = await ratesOf(way, filled, own, join(base, `by-${name.replaceAll(" ", "-")}`));
      for (const what of ["push", "fetch"] as const)
        if (way[what] !== undefined) log(`${name}: ${what} ${rates[what].toFixed(2)} segments/s`);
      return { name, ...rates };
    };
    const ours = [await rated("wal push, wal fetch", byCommand(pushing, fetching), first)];
    const server = await startServing(join(base, "pushing"), pushing);
    const pushed = await rated("wal serve, pushing", { push: server.push }, second);
    await server[Symbol.asyncDispose]();
    await using giving = await startServing(join(base, "fetching"), fetching);
    const fetched = await rated("wal serve, fetching", { fetch: giving.fetch }, second);
    ours.push({ name: "wal serve", push: pushed.push, fetch: fetched.fetch });
    const copies = join(base, "copies");
    await mkdir(copies);
    const peers = [await rated("cp", byCopy(copies), first)];
    const tool = await findPgBackRest(filled.server);
    if (tool !== undefined) {
      const at = join(base, "pgbackrest");
      await mkdir(at);
      await tool.call(at, "stanza-create", "--no-online");
      const way: ArchiveWay = {
        push: (path) => tool.call(at, "archive-push", path),
        fetch: (name, to) => tool.call(at, "archive-get", name, to),
      };
      peers.push(await rated(tool.name, way, first));
    }
    return walFigures(ours, peers);
  } finally {
    await rm(base, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
  }
};

async function startSystemFor(filled: FilledServer, base: string): Promise<ShippedSystem> {
  const { server, binDirectory } = filled;
  const user = await unprivilegedUser();
  const url = `postgres://${server.user}@${server.host}:${server.port}/postgres`;
  const password = "${env:BENCH_POSTGRES_PASSWORD}";
  return await startShippedSystem(worldIn(base, PARTS, new AbortController().signal), {
    plan: {
      sources: { [SOURCE]: { kind: "postgres", url, password, ship: "off" } },
      schedule: [],
      validate: false,
    },
    environment: {
      BENCH_POSTGRES_PASSWORD: server.password,
      STILLPOINT_POSTGRES_BIN: binDirectory,
      ...(user === undefined ? {} : { STILLPOINT_SERVER_USER: user.name }),
    },
  });
}

/** What a server is given to push and to fetch with; the repository has a base by then, without which no log is of use. */
async function environments({ bus, system, world }: ShippedSystem, base: string) {
  await until("the plan is in force", async () => (await (await bus.bucket(BUCKETS.plans)).get(PLAN)) !== undefined);
  const after = await bus.lastEventSequence();
  const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, REQUEST);
  await followRun(bus, runId, after, NO_BOARD, world.signal);
  const of = { plan: PLAN, source: SOURCE };
  const { token, vaultUrl } = await bus.request(vaultLogToken, {}, { ...of, kind: "postgres", days: 1 }, REQUEST);
  const file = join(base, "wal-token");
  await writeFile(file, `${token}\n`, { mode: 0o600 });
  return {
    pushing: { STILLPOINT_VAULT_URL: vaultUrl, STILLPOINT_WAL_TOKEN_FILE: file },
    fetching: {
      STILLPOINT_REPOSITORY: system.repository,
      STILLPOINT_KEY_FILE: system.keyFile,
      STILLPOINT_WAL_PLAN: PLAN,
      STILLPOINT_WAL_SOURCE: SOURCE,
    },
  };
}

/** Segments a second; NaN for what a way is not asked. */
async function ratesOf(way: Partial<ArchiveWay>, filled: FilledServer, names: readonly string[], directory: string) {
  const { push, fetch } = way;
  const paths = await readyToArchive(filled, names, directory);
  const rate = async (each: (at: number) => Promise<unknown>) => {
    await settled();
    const begun = performance.now();
    for (let at = 0; at < names.length; at += 1) await each(at);
    return (names.length / (performance.now() - begun)) * 1_000;
  };
  const rates = {
    push: push === undefined ? Number.NaN : await rate((at) => push(paths[at] ?? "")),
    fetch: fetch === undefined ? Number.NaN : await rate((at) => fetch(names[at] ?? "", join(directory, "fetched"))),
  };
  await rm(directory, { recursive: true });
  return rates;
}

/** Pure: ours beside each other archiver. */
export function walFigures(ours: readonly WalRates[], peers: readonly WalRates[]): Figure[] {
  return ours.flatMap((own) =>
    (["push", "fetch"] as const).flatMap((what) => {
      const row = { name: `${own.name}: ${what}`, value: own[what], unit: "segments/s" };
      if (peers.length === 0) return [figure(row.name, row.value, row.unit)];
      return peers.map((peer) => against(row, peer.name, peer[what]));
    }),
  );
}
