import { StillpointError } from "@stillpoint/contracts/errors";
import type { OpenTarget } from "@stillpoint/object-store/open-target";
import { type Lag, lagOf } from "@stillpoint/repository/replicas/survey";
import { type TargetFigures, targetFigures } from "@stillpoint/repository/replicas/target-figures";
import { bytes, span, table } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { openAllTargets, openOn } from "./open-targets.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

export type StatusOptions = KeyOptions & { repository: string; locks: boolean; json?: boolean };

type TargetStatus = {
  name: string;
  role: "primary" | "replica";
  url: string;
  figures?: TargetFigures;
  lockDays?: number;
  lag?: Lag;
  /** Objects that only this replica has, and such as are of another length than the primary's. */
  onlyThere?: number;
  differing?: number;
  error?: string;
};

const DAY_MS = 86_400_000;
const KINDS_SHOWN = ["packs", "index", "backups", "points", "proofs", "other"] as const;

async function orError<Result>(work: () => Promise<Result>): Promise<{ ok: Result } | { error: string }> {
  try {
    return { ok: await work() };
  } catch (error) {
    if (!(error instanceof StillpointError)) throw error;
    return { error: error.message };
  }
}

function lockOf({ figures, lockDays }: TargetStatus): string {
  const set = lockDays === undefined ? "none" : `${lockDays} d`;
  const found = figures?.locks;
  if (found === undefined) return lockDays === undefined ? "–" : `${set}, but the target has none`;
  if (found.asked === 0) return set;
  return `${set}: ${found.locked} of ${found.asked} locked, ${found.legalHolds} held`;
}

function lagShown({ role, lag, error }: TargetStatus): string {
  if (role === "primary") return "";
  if (lag === undefined) return error === undefined ? "?" : "unknown";
  return lag.objects === 0 ? "none" : `${span(lag.seconds * 1000)}, ${bytes(lag.bytes)} in ${lag.objects} objects`;
}

function show(world: World, status: TargetStatus[]): void {
  const total = ({ figures }: TargetStatus, of: "objects" | "bytes") =>
    Object.values(figures?.kinds ?? {}).reduce((sum, each) => sum + each[of], 0);
  const rows = status.map((each) => [
    each.name,
    each.role,
    each.figures === undefined ? "–" : String(total(each, "objects")),
    each.figures === undefined ? "–" : bytes(total(each, "bytes")),
    lagShown(each),
    lockOf(each),
    Object.entries(each.figures?.classes ?? {})
      .map(([name, figures]) => `${name} ${bytes(figures.bytes)}`)
      .join(", ") || "–",
  ]);
  world.out(`${table(["target", "role", "objects", "bytes", "behind by", "lock", "classes"], rows, [2, 3])}\n\n`);
  const kinds = status.map(({ name, figures }) => [
    name,
    ...KINDS_SHOWN.map((kind) => {
      const found = figures?.kinds[kind];
      return found === undefined ? "–" : `${found.objects} / ${bytes(found.bytes)}`;
    }),
  ]);
  world.out(`${table(["objects / bytes", ...KINDS_SHOWN], kinds)}\n`);
  for (const { name, url, onlyThere = 0, differing = 0, error } of status) {
    if (error !== undefined) world.out(`✗ ${name} at ${url}: ${error}\n`);
    if (onlyThere > 0)
      world.out(
        `${name}: ${onlyThere} objects are there and not on the primary: to be swept, or lost by the primary\n`,
      );
    if (differing > 0)
      world.out(
        `✗ ${name}: ${differing} objects are of another length than the primary's: run stillpoint repo check\n`,
      );
  }
}

/** Every target: what lies there, how far it is behind, locks and classes. Lists, and reads nothing. */
export async function showRepositoryStatus(world: World, options: StatusOptions): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options);
  const describe = async (target: OpenTarget): Promise<TargetStatus> => {
    const found = await orError(() => targetFigures(target.store, { askLocks: options.locks, signal: world.signal }));
    return {
      name: target.name,
      role: target === targets.primary ? "primary" : "replica",
      url: target.store.url,
      ...(target.lockMs === undefined ? {} : { lockDays: target.lockMs / DAY_MS }),
      ...("ok" in found ? { figures: found.ok } : { error: found.error }),
    };
  };
  const status: TargetStatus[] = [];
  let repositoryId: string | undefined;
  await stillAlive(world, "listing the targets", async () => {
    for (const target of [targets.primary, ...targets.replicas]) status.push(await describe(target));
    const opened = await orError(() => openOn(world, targets, targets.primary));
    if ("error" in opened) {
      for (const each of status) if (each.role === "primary") each.error ??= opened.error;
      return;
    }
    await using repository = opened.ok;
    repositoryId = repository.id;
    for (const [n, { store }] of targets.replicas.entries()) {
      const each = status[n + 1];
      if (each === undefined || each.error !== undefined) continue;
      const survey = await orError(() => repository.replicas.survey(store, { signal: world.signal }));
      if ("ok" in survey)
        Object.assign(each, {
          lag: lagOf(survey.ok),
          onlyThere: survey.ok.strays.length,
          differing: survey.ok.differing.length,
        });
      else each.error = survey.error;
    }
  });
  const { promotion } = targets;
  if (options.json) {
    world.out(`${JSON.stringify({ repositoryId, promotion, targets: status }, undefined, 2)}\n`);
    return;
  }
  if (repositoryId !== undefined) world.out(`repository ${repositoryId}\n`);
  if (promotion !== undefined)
    world.out(`${promotion.target} is the primary since ${promotion.at}, promoted by ${promotion.by}\n`);
  world.out("\n");
  show(world, status);
}
