import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import { planAccepted, planRejected } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import { BUCKETS } from "@stillpoint/contracts/topology";
import type { AcceptedFile, AcceptedPlan, PlanFileRejected } from "./plan-file.ts";
import { canonicalJson, revisionOf } from "./revision.ts";

export type PublishedPlans = {
  /** In force with a new revision. */
  changed: string[];
  removed: string[];
};

export type PlanBuckets = {
  plans: Bucket<(typeof BUCKETS)["plans"]>;
  revisions: Bucket<(typeof BUCKETS)["revisions"]>;
  installation: Bucket<(typeof BUCKETS)["installation"]>;
};

export async function openPlanBuckets(bus: Bus): Promise<PlanBuckets> {
  return {
    plans: await bus.bucket(BUCKETS.plans),
    revisions: await bus.bucket(BUCKETS.revisions),
    installation: await bus.bucket(BUCKETS.installation),
  };
}

/**
 * Puts a file's plans in force: what changed gets its new revision, what is no longer in the file goes. Doing it again, or
 * twice at once, changes nothing. `tellAll`: also what did not change is told as accepted, because it was rejected before.
 */
export async function publishPlans(
  bus: Bus,
  buckets: PlanBuckets,
  file: AcceptedFile,
  options: { now: () => number; tellAll: boolean },
): Promise<PublishedPlans> {
  const changed: string[] = [];
  const at = toInstant(options.now());
  for (const accepted of file.plans) {
    const { name: plan } = accepted;
    const revision = revisionOf(accepted.definition);
    const isNew = await putInForce(buckets, accepted, revision, at);
    if (isNew) changed.push(plan);
    if (isNew || options.tellAll) await bus.publishEvent(planAccepted, { plan }, { plan, revision, at });
  }
  const inFile = new Set(file.plans.map(({ name }) => name));
  const removed = (await buckets.plans.keys()).filter((name) => !inFile.has(name));
  for (const name of removed) await buckets.plans.delete(name);

  const alerts = await buckets.installation.get("alerts");
  if (canonicalJson(alerts?.value.alerts ?? []) !== canonicalJson(file.alerts)) {
    await buckets.installation.put("alerts", { alerts: file.alerts });
  }
  return { changed, removed };
}

async function putInForce(
  { plans, revisions }: PlanBuckets,
  { name: plan, definition }: AcceptedPlan,
  revision: string,
  acceptedAt: string,
): Promise<boolean> {
  if ((await plans.get(plan))?.value.revision === revision) return false;
  const value = { plan, revision, definition, acceptedAt };
  // First where it stays for ever: whoever reads that it is in force finds what it says.
  await revisions.create(`${plan}.${revision}`, value);
  await plans.put(plan, value);
  return true;
}

/** `key` is of the rejected text: several gateways, or one that is started again, reject it once. */
export async function publishRejection(
  bus: Bus,
  rejected: PlanFileRejected,
  options: { now: () => number; key: string },
): Promise<void> {
  const { plan } = rejected;
  const body = { plan, error: rejected.toBody(), at: toInstant(options.now()) };
  await bus.publishEvent(planRejected, { plan }, body, { key: options.key });
}
