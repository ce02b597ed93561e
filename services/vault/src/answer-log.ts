import type { Bus } from "@stillpoint/bus/bus";
import type { LogPosition } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import { vaultLog } from "@stillpoint/contracts/vault";
import { bytesToReplay, findPointServing } from "@stillpoint/repository/log/point-log";
import { findServing } from "@stillpoint/repository/log/serve";
import type { SourceLog, SourceOfPlan } from "@stillpoint/repository/log/source-log";
import { deriveLog } from "@stillpoint/repository/log/windows";
import type { Repository } from "@stillpoint/repository/repository";
import type { z } from "zod";

type LogReply = z.input<typeof vaultLog.reply>;

/** So many of each kind a message holds: the newest. */
const MOST_TOLD = 100;

type Reach = { base: string; place: LogPosition };

/** Pure: what follows from what is held, and what the newest place is restored from. */
function derive(log: SourceLog) {
  const state = deriveLog(log);
  const { held, baseServes } = state;
  return { state, serving: held === undefined || !baseServes ? undefined : findServing(log, held) };
}

/** Pure: what is told of a source's log. `replayOf`: the base that serves the newest place. */
function describeLog(
  { plan, source, reach }: SourceOfPlan & { reach?: Reach | undefined },
  log: SourceLog,
  { state: { windows, holes, held, baseServes }, serving }: ReturnType<typeof derive>,
  replayOf: Pick<NonNullable<LogReply["replay"]>, "bytes" | "mayBeSealed"> | undefined,
): LogReply {
  const base = log.fulls.find(({ backupId }) => backupId === serving?.base);
  const reached = reach && findPointServing(log, reach);
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
    ...(serving === undefined || base === undefined || replayOf === undefined
      ? {}
      : {
          replay: {
            ...replayOf,
            base: base.backupId,
            storedAt: toInstant(base.storedMs),
            logBytes: bytesToReplay(log, serving),
          },
        }),
    ...(log.fulls.length === 0
      ? {}
      : { newestBaseAt: toInstant(Math.max(...log.fulls.map(({ storedMs }) => storedMs))) }),
    ...(reached === undefined ? {} : { reaches: { logBytes: bytesToReplay(log, reached) } }),
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
    await bus.answer(vaultLog, queue, async ({ body }) => {
      const log = await (body.waits ? repository.growingLog(body) : repository.sourceLog(body));
      const derived = derive(log);
      // Who waits was told before what would be replayed.
      if (body.waits) return describeLog(body, log, derived, undefined);
      const base = derived.serving?.base;
      const figures = base === undefined ? undefined : await repository.headBackup(base);
      const isThere = base !== undefined && figures !== undefined;
      const replayOf = isThere ? { bytes: figures.bytes, mayBeSealed: await repository.mayBeSealed(base) } : undefined;
      return describeLog(body, log, derived, replayOf);
    }),
  );
}
