import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import type { DriverContext, MarkRequest } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { boltError } from "./bolt.ts";
import type { CaptureSteps } from "./bolt-source.ts";
import { type CountQuery, countQuery, runCounts } from "./counts.ts";
import { dataError } from "./file-error.ts";
import { notShown } from "./log-follower.ts";
import { logStream, tokenOf } from "./log-token.ts";
import type { PhysicalDetail } from "./mark-detail.ts";
import { type PhysicalSource, requireOwnData } from "./own-data.ts";
import { committedIn, lastCommitted } from "./server-facts.ts";
import { logDirectory, neostorePath, openStore, type StoreCapture } from "./store-capture.ts";

/** How often the log is looked at while a commit is waited for. */
const LOOK_EVERY_MS = 5;
/** A commit is in the log before it is acknowledged: what is not there by then is in another directory. */
const SHOWS_WITHIN_MS = 1_000;
/** Copies that are begun before a source is said to change too fast. */
const BASE_TRIES = 3;

export async function openPhysical(
  source: PhysicalSource,
  context: DriverContext,
  { shipped }: { shipped: boolean },
): Promise<CaptureSteps> {
  const { driver, database, data, where, facts, description } = source;
  await requireOwnData(source);
  let [user, system] = await openStores(source, context.signal);
  await waitForCommit(user, await lastCommitted(driver, database, where), SHOWS_WITHIN_MS, context, data);

  let leftOut: string[] = [];
  let prepared: CountQuery | undefined;
  let marked: PhysicalDetail | "shipped" | undefined;

  /** Counts taken while nothing was committed, told by the same last transaction before and after. */
  const quietCounts = async (txId: number) => {
    if (prepared === undefined) return undefined;
    try {
      const { counts, bookmark } = await runCounts(driver, database, prepared);
      return committedIn(bookmark) === txId ? counts : undefined;
    } catch (error) {
      throw boltError(error, { what: "Cannot count what the Neo4j database holds", where });
    }
  };

  const logs = logDirectory(data, database);
  const neostores = [neostorePath(data, database), neostorePath(data, "system")];

  const copyBase = async (tree: TreeWriter) => {
    const stream = await logStream(logs, user.log.position.logVersion, neostores);
    const systemBase = await system.base(tree);
    const userBase = await user.base(tree);
    leftOut = [...systemBase.leftOut, ...userBase.leftOut];
    // Behind the database's own end: what is shipped up to there says no more of users and rights than this.
    const systemEnd = await system.extendBase(tree);
    if ((await logStream(logs, userBase.end.logVersion, neostores)) !== stream) throw replaced(data);
    // It brings its own log: what was written since is all that must be laid over it.
    const at = tokenOf({ ...userBase.end, system: systemEnd });
    await tree.covers({ stream, from: at, to: at });
  };

  return {
    description,
    async base(tree) {
      marked = undefined;
      for (let left = BASE_TRIES - 1; ; left -= 1) {
        try {
          return await copyBase(tree);
        } catch (error) {
          const isChanged = error instanceof StillpointError && error.code === "SOURCE_CHANGED";
          if (!isChanged || left === 0) throw dataError(error, data);
          context.log("the copy is begun anew", { why: error.why ?? error.what });
          await tree.add({ type: "deleted", path: "data" });
          await requireOwnData(source);
          [user, system] = await openStores(source, context.signal);
        }
      }
    },
    async settle() {
      try {
        prepared = await countQuery(driver, database);
        await runCounts(driver, database, prepared);
      } catch (error) {
        throw boltError(error, { what: "Cannot count what the Neo4j database holds", where });
      }
      await Promise.all([user.log.advance(), system.log.advance()]);
    },
    async mark({ cutId, budgetMs, fenced }: MarkRequest): Promise<Mark> {
      const deadline = context.monotonicMs() + budgetMs;
      const committed = await lastCommitted(driver, database, where);
      const counting = fenced ? quietCounts(committed) : undefined;
      counting?.catch(() => undefined); // awaited below
      // Before the database's own log is read to its end: whoever ships more of that has looked at users and rights later.
      const { logVersion, offset } = await system.log.advance();
      await waitForCommit(user, committed, deadline - context.monotonicMs(), context, data);
      // Counts are welcome, but nobody waits for them past half of the budget.
      const patience = Math.max(0, deadline - context.monotonicMs() - budgetMs / 2);
      const counted = await Promise.race([counting, delay(patience, undefined, { ref: false })]);
      const { position } = user.log;
      // The log shows a commit a moment before the server counts it.
      const counts = position.txId === committed ? counted : undefined;
      const standing = shipped && {
        place: {
          stream: await logStream(logs, position.logVersion, neostores),
          at: tokenOf({ ...position, system: { logVersion, offset } }),
        },
        target: { by: "transaction" as const, id: String(position.txId), inclusive: true },
        at: toInstant(context.now()),
      };
      const physical = standing
        ? undefined
        : {
            format: "physical" as const,
            databaseId: facts.databaseId,
            ...user.markAt(position),
            system: system.markAt(system.log.position),
          };
      marked = physical ?? "shipped";
      return {
        cutId,
        position: `tx ${position.txId}`,
        detail: physical ?? {},
        ...(standing ? { log: standing } : {}),
        ...(counts === undefined ? {} : { counts }),
        notes: leftOut.map((path) => `${path} did not hold still and is made anew by the restored server`),
      };
    },
    async finish(tree) {
      if (marked === undefined) throw new TypeError("the mark comes before the finish");
      if (marked === "shipped") return;
      await system.finish(tree, marked.system);
      await user.finish(tree, marked);
    },
  };
}

function replaced(where: string): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "The database was replaced while it was copied",
    where,
    why: "its files are others now than when the copy began",
    hint: "try again when the restore or the move is done",
  });
}

async function openStores(
  source: PhysicalSource,
  signal: AbortSignal,
): Promise<[user: StoreCapture, system: StoreCapture]> {
  try {
    return [await openStore(source.data, source.database, signal), await openStore(source.data, "system", signal)];
  } catch (error) {
    throw dataError(error, source.data);
  }
}

/** Reads the log to its end until it shows the transaction. */
async function waitForCommit(
  store: StoreCapture,
  txId: number,
  withinMs: number,
  context: DriverContext,
  data: string,
) {
  const deadline = context.monotonicMs() + withinMs;
  while ((await store.log.advance()).txId < txId) {
    if (context.monotonicMs() >= deadline) throw notShown(data, txId);
    await delay(LOOK_EVERY_MS, undefined, { signal: context.signal });
  }
}
