import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { QdrantSource } from "@stillpoint/contracts/source";
import type { Capture, Description, DriverContext } from "@stillpoint/driver/driver";
import { alignedMark } from "./aligned-mark.ts";
import { answeredInTime } from "./answered-in-time.ts";
import { connect, newestVersion } from "./cluster.ts";
import { closeAll, fencedMark } from "./fenced-mark.ts";
import { writeFixed } from "./finish.ts";
import { type Fixed, toMark } from "./fixed.ts";
import { type Collection, type Inventory, readInventory } from "./inventory.ts";
import { chooseProbes, type Probe } from "./neighbours.ts";
import { waitForOptimizations } from "./optimizations.ts";
import type { ServerVersion } from "./server-version.ts";
import { snapshotKeeper } from "./snapshot-keeper.ts";

/** An HNSW build was measured at 8 to 30 s; a server that never rests is not waited for without end. */
const SETTLE_MS = 120_000;
const SETTLE_REPORT_MS = 5_000;

export async function openCapture(source: QdrantSource, context: DriverContext): Promise<Capture> {
  const key = source.apiKey === undefined ? undefined : context.secret(source.apiKey);
  const peers = connect(source, key);
  const [server] = peers;
  const [version, inventory] = await answeredInTime(server.url, context.signal, async (opening) => [
    await newestVersion(peers, opening),
    await readInventory(peers, opening),
  ]);
  const keeper = snapshotKeeper(context.log);
  const description = describe(version, inventory);
  let probes: Probe[] = [];
  let held: { fixed: Fixed; isRead: boolean } | undefined;

  const letGo = async () => {
    const streams = held?.fixed.streams ?? [];
    held = undefined;
    await closeAll(streams);
  };

  return {
    description,
    async base() {
      throw new StillpointError("INTERNAL", { what: "A Qdrant server has no base", where: server.url });
    },
    async settle() {
      await letGo();
      await keeper.clear();
      const { collections } = await readInventory(peers, context.signal);
      await rest(collections, context);
      probes = await chooseProbes(server, collections, context.signal);
    },
    async mark({ cutId, budgetMs, fenced }) {
      // The server begins no stream of a shard while another one is open.
      await letGo();
      const { monotonicMs, signal } = context;
      const marking = { peers, keeper, probes, budgetMs, monotonicMs, signal };
      const fixed = fenced ? await fencedMark(marking) : await alignedMark(marking);
      held = { fixed, isRead: false };
      const { gateMs, openMs } = fixed;
      context.log("the Qdrant server's content is fixed", { gateMs, openMs, shards: fixed.streams.length });
      return toMark(cutId, fixed);
    },
    async finish(tree) {
      if (held === undefined) throw cannotFinish("nothing is marked");
      if (held.isRead && held.fixed.streams.length > 0) throw cannotFinish("its streams can be read only once");
      held.isRead = true;
      await writeFixed(held.fixed, tree, { mtimeMs: context.now(), signal: context.signal });
    },
    async [Symbol.asyncDispose]() {
      await letGo();
      await keeper[Symbol.asyncDispose]();
    },
  };
}

function describe({ version, isDouble, runtimeId }: ServerVersion, { collections }: Inventory): Description {
  const several = collections.filter(({ shards }) => shards.length > 1).map(({ name }) => name);
  return {
    version: isDouble ? `Qdrant test double ${version}` : `Qdrant ${version}`,
    runtime: { id: runtimeId, version, arch: process.arch, extensions: [], settings: {} },
    hasLog: false,
    finish: "full",
    notes: [
      ...(isDouble ? ["this is the test double of a Qdrant server: it must not hold data of worth"] : []),
      ...(several.length > 0 ? [`several shards, which only a fence puts at one moment: ${several.join(", ")}`] : []),
    ],
  };
}

/** Waits, with a word now and then, until no optimization runs, or the limit has come. */
async function rest(collections: readonly Collection[], { monotonicMs, log, signal }: DriverContext): Promise<void> {
  const began = monotonicMs();
  const wait = (names: readonly string[], untilMs: number) =>
    waitForOptimizations(
      collections.filter(({ name }) => names.includes(name)),
      { monotonicMs, untilMs, signal },
    );
  let busy = await wait(
    collections.map(({ name }) => name),
    began,
  );
  while (busy.length > 0 && monotonicMs() - began < SETTLE_MS) {
    log("waiting for optimizations to end", { collections: busy, waitedMs: Math.round(monotonicMs() - began) });
    busy = await wait(busy, monotonicMs() + SETTLE_REPORT_MS);
    if (busy.length > 0) await delay(0, undefined, { signal });
  }
  if (busy.length > 0) log("optimizations do not end; the mark may fail", { collections: busy });
}

function cannotFinish(why: string): StillpointError {
  return new StillpointError("CUT_VOID", { what: "Cannot read the Qdrant server's snapshot", why });
}
