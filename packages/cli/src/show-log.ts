import type { LogPosition } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import { vaultLog } from "@stillpoint/contracts/vault";
import { deriveLog } from "@stillpoint/repository/log/windows";
import { table } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { openAllTargets, openForReading } from "./open-targets.ts";
import { reachBus } from "./reach.ts";
import type { World } from "./world.ts";

export type LogOptions = KeyOptions & { plan: string; source: string; repository?: string; json?: boolean };

type Place = LogPosition | undefined;
type Shown = {
  windows: { from: LogPosition; to: LogPosition; fromAt: string; toAt: string; bases: string[] }[];
  holes: { after?: Place; until?: Place; why?: string | undefined; at?: string | undefined }[];
  baseServes: boolean;
  damaged: string[];
};

async function logIn(world: World, where: string, { plan, source, ...key }: LogOptions): Promise<Shown> {
  await using targets = await openAllTargets(world, where, key);
  await using repository = await openForReading(world, targets);
  const log = await repository.sourceLog({ plan, source }, world.signal);
  const { windows, holes, baseServes } = deriveLog(log);
  return {
    windows: windows.map(({ from, to, fromMs, toMs, bases }) => ({
      ...{ from, to, bases },
      fromAt: toInstant(fromMs),
      toAt: toInstant(toMs),
    })),
    holes: holes.map(({ after, until, gap }) => ({ after, until, why: gap?.why, at: gap?.at })),
    baseServes,
    damaged: log.damaged,
  };
}

async function logOfSystem(world: World, { plan, source }: LogOptions): Promise<Shown> {
  await using bus = await reachBus(world);
  return await bus.request(vaultLog, {}, { plan, source }, { timeoutMs: 60_000 });
}

const shown = (place: Place) => (place === undefined ? "–" : `${place.stream}@${place.at}`);

/** What moments of a source can be restored, and what is missing between them. */
export async function showLog(world: World, options: LogOptions): Promise<void> {
  const { plan, source, repository } = options;
  const log = repository === undefined ? await logOfSystem(world, options) : await logIn(world, repository, options);
  if (options.json) {
    world.out(`${JSON.stringify({ plan, source, ...log }, undefined, 2)}\n`);
    return;
  }
  for (const name of log.damaged) world.errorLine(`${name} cannot be read, and may be a part of this log`);
  if (log.windows.length === 0) {
    world.out(`no moment of ${plan}/${source} can be restored: no base has its log without a hole\n`);
    world.errorLine("points can be restored as they are: stillpoint points");
    return;
  }
  const windows = log.windows.map(({ fromAt, toAt, bases, from, to }) => [
    fromAt,
    toAt,
    String(bases.length),
    shown(from),
    shown(to),
  ]);
  world.out(`${table(["any moment from", "to", "bases", "first place", "last place"], windows, [2])}\n`);
  const holes = log.holes.map(({ after, until, at, why }) => [shown(after), shown(until), at ?? "–", why ?? "–"]);
  if (holes.length > 0) world.out(`\n${table(["hole after", "until", "recorded", "why"], holes)}\n`);
  if (!log.baseServes) world.errorLine("what is newest stands on no base: the next point makes one");
}
