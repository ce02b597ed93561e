import { userInfo } from "node:os";
import { StillpointError } from "@stillpoint/contracts/errors";
import { isMeant } from "@stillpoint/repository/replicas/primary";
import { bytes, span } from "./figures.ts";
import type { KeyOptions } from "./key/key-options.ts";
import { type OpenedTargets, openAllTargets, openOn, targetNamed } from "./open-targets.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

export type PromoteOptions = KeyOptions & {
  repository: string;
  dryRun: boolean;
  yes: boolean;
  acceptLoss: boolean;
  json?: boolean;
};

/** Makes a replica the primary. Says what it would mean, and does it with --yes. */
export async function promoteReplica(world: World, name: string, options: PromoteOptions): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options, { orFirst: true });
  const target = targetNamed(targets, name);
  const by = userInfo().username;
  const { primary: first, promotion } = targets;
  if (promotion !== undefined && !isMeant(promotion, { name: first.name, url: first.store.url })) {
    const gone = `${promotion.target}, which was promoted at ${promotion.url},`;
    world.errorLine(`${gone} is not among the targets`);
    return await promoteAlone(world, targets, { name, by, gone }, options);
  }
  if (target === first)
    throw new StillpointError("CONFLICT", {
      what: "Did not promote a target",
      where: name,
      why: "it is the primary already",
      hint: "where promoting it broke off, `stillpoint repo replicate --take-in <old primary>` copies what is left",
    });
  const opened = await openOn(world, targets, targets.primary).catch((error: unknown) => {
    if (!(error instanceof StillpointError)) throw error;
    world.errorLine(`the primary, ${targets.primary.name}, is out of reach: ${error.message}`);
  });
  if (opened === undefined)
    return await promoteAlone(world, targets, { name, by, gone: targets.primary.name }, options);
  await using primary = opened;
  const plan = await primary.replicas.planPromotion(target.store, world.signal);
  const { lag, pointsBehind } = plan;
  if (!options.yes || options.dryRun) {
    if (options.json) world.out(`${JSON.stringify({ target: name, promoted: false, ...plan })}\n`);
    else {
      world.out(
        lag.objects === 0
          ? `${name} has everything that ${targets.primary.name} has\n`
          : `${name} is behind by ${span(lag.seconds * 1000)}: ${lag.objects} objects, ${bytes(lag.bytes)}, ${pointsBehind.length} points; they would be copied first\n`,
      );
      world.out(`${name} would be the primary, ${targets.primary.name} a replica; nothing was changed: say --yes\n`);
    }
    return;
  }
  const done = await stillAlive(world, `copying what is behind to ${name}`, () =>
    primary.replicas.promote(target.store, {
      name,
      by,
      acceptLoss: options.acceptLoss,
      others: targets.replicas.filter((each) => each !== target).map(({ store }) => store),
      signal: world.signal,
    }),
  );
  if (options.json) world.out(`${JSON.stringify({ target: name, promoted: true, ...done })}\n`);
  else world.out(`${name} is the primary; ${left(done.lag.objects)}. ${RESTART}\n`);
}

const RESTART = "Vaults that run must be started again: until then they refuse to write";
const left = (objects: number) =>
  objects === 0 ? "nothing was left behind" : `${objects} objects could not be copied and stay with the old one`;

async function promoteAlone(
  world: World,
  targets: OpenedTargets,
  { name, by, gone }: { name: string; by: string; gone: string },
  options: PromoteOptions,
): Promise<void> {
  const target = targetNamed(targets, name);
  await using repository = await openOn(world, { ...targets, primary: target, replicas: [] }, target);
  let newest: string | undefined;
  let points = 0;
  for await (const { cut } of repository.points({ signal: world.signal })) {
    points++;
    if (newest === undefined || cut.at > newest) newest = cut.at;
  }
  const has = `${name} has ${points} points, the newest of ${newest ?? "never"}; what came later is on ${gone} alone`;
  if (!options.yes || options.dryRun) {
    if (options.json) world.out(`${JSON.stringify({ target: name, promoted: false, points, newest })}\n`);
    else world.out(`${has}\nnothing was changed: say --yes --accept-loss\n`);
    return;
  }
  if (!options.acceptLoss)
    throw new StillpointError("REPLICA_BEHIND", {
      what: "Did not promote a target",
      where: name,
      why: `${has}, and how much that is cannot be told while it is out of reach`,
      hint: "bring the primary back, or say --accept-loss; what it holds can be taken in later: stillpoint repo replicate --take-in",
    });
  const after = targets.promotion;
  const promotion = await repository.replicas.promoteAlone({ name, by, after });
  if (options.json) world.out(`${JSON.stringify({ target: name, promoted: true, promotion, points, newest })}\n`);
  else
    world.out(
      `${name} is the primary; ${has}. ${RESTART}. Stop those that still reach ${gone}: they cannot know yet\n`,
    );
}
