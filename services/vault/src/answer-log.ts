import type { Bus } from "@stillpoint/bus/bus";
import { toInstant } from "@stillpoint/contracts/names";
import { vaultLog } from "@stillpoint/contracts/vault";
import { findServing } from "@stillpoint/repository/log/serve";
import type { SourceLog, SourceOfPlan } from "@stillpoint/repository/log/source-log";
import { deriveLog } from "@stillpoint/repository/log/windows";
import type { Repository } from "@stillpoint/repository/repository";
import type { z } from "zod";

type LogReply = z.input<typeof vaultLog.reply>;

/** So many of each kind a message holds: the newest. */
const MOST_TOLD = 100;

/** Pure: what is told of a source's log. */
export function describeLog({ plan, source }: SourceOfPlan, log: SourceLog): LogReply {
  const { windows, holes, held, baseServes } = deriveLog(log);
  const serving = held === undefined || !baseServes ? undefined : findServing(log, held);
  const base = log.fulls.find(({ backupId }) => backupId === serving?.base);
  const closed = new Map(log.closed.map((each) => [each.backupId, each.bytes]));
  const tails = new Map(log.tails.map((each) => [each.id, each.bytes]));
  const bytesOf = (read: { type: "closed"; backupId: string } | { type: "tail"; id: string }) =>
    (read.type === "closed" ? closed.get(read.backupId) : tails.get(read.id)) ?? 0;
  return {
    plan,
    source,
    windows: windows.slice(-MOST_TOLD).map(({ fromMs, toMs, bases, ...window }) => ({
      ...window,
      bases: bases.slice(-MOST_TOLD),
      fromAt: toInstant(fromMs),
      toAt: toInstant(toMs),
    })),
    holes: holes.slice(-MOST_TOLD).map(({ gap, ...hole }) => ({
      ...hole,
      ...(gap === undefined ? {} : { why: gap.why, at: gap.at }),
    })),
    ...(held === undefined ? {} : { held }),
    baseServes,
    ...(serving === undefined || base === undefined
      ? {}
      : {
          replay: {
            base: base.backupId,
            storedAt: toInstant(base.storedMs),
            logBytes: serving.reads.reduce((sum, read) => sum + bytesOf(read), 0),
          },
        }),
    damaged: log.damaged.slice(0, MOST_TOLD),
  };
}

/** Answers what the repository holds of logs, and what can be restored of it. */
export async function answerLog(
  { repository, bus }: { repository: Repository; bus: Bus },
  queue: { queue: string },
  resources: AsyncDisposableStack,
): Promise<void> {
  resources.use(
    await bus.answer(vaultLog, queue, async ({ body }) => describeLog(body, await repository.sourceLog(body))),
  );
}
