import { StillpointError } from "@stillpoint/contracts/errors";
import { type Method, withFaults } from "@stillpoint/object-store/faults";
import type { Repository } from "../src/repository.ts";
import { difference } from "./exact.ts";
import { settled } from "./settled.ts";
import { copyOf, openSmall, type SmallRepository } from "./small-repository.ts";
import { SWEPT_FAULTS, type SweptFault } from "./swept-faults.ts";
import type { Site, SweptOperation } from "./swept-operation.ts";

const METHODS = [
  "put",
  "get",
  "list",
  "head",
  "delete",
  "now",
  "createsAtomically",
] as const satisfies readonly Method[];

export type SweepResult = {
  trials: number;
  /** Trials in which the operation failed; the others it bore. */
  failed: number;
  /** Trials after which something is damaged, and named. */
  named: number;
  findings: string[];
};

type PlacedFault = { method: Method; position: number; swept: SweptFault };

/** Where the faults come in, and where the truth can be looked at. */
function siteOf(base: SmallRepository, operation: SweptOperation, seed: string) {
  const copied = copyOf(base);
  const faulty = withFaults(copied[operation.faultAt].store);
  const sound: Site = { primary: copied.primary.store, replica: copied.replica.store, base: copied, seed };
  return { copied, faulty, sound, touched: { ...sound, [operation.faultAt]: faulty.store } };
}

function calls(faulty: ReturnType<typeof withFaults>): number {
  return METHODS.reduce((sum, method) => sum + faulty.calls(method), 0);
}

/** The operation's calls of each method while nothing goes wrong. */
async function cleanRun(base: SmallRepository, operation: SweptOperation): Promise<Map<Method, number>> {
  const { faulty, sound, touched } = siteOf(base, operation, "clean");
  await operation.run(touched);
  const differs = await afterwards(sound, operation);
  if (differs.length > 0) throw new Error(`${operation.title}, with nothing wrong: ${differs.join("; ")}`);
  return new Map(METHODS.map((method) => [method, faulty.calls(method)]));
}

async function sealedDiffer(repository: Repository, { base }: Site): Promise<string[]> {
  const found: string[] = [];
  for (const [id, items] of base.sealed) {
    const differs = await difference(repository, id, items);
    if (differs !== undefined) found.push(differs);
  }
  return found;
}

/** Once more on a sound store: the operation comes out right, the repository is sound, everything sealed restores. */
export async function afterwards(site: Site, operation: SweptOperation, wasHidden = false): Promise<string[]> {
  await operation.run({ ...site, seed: `${site.seed} again` });
  if (wasHidden) await operation.inTime?.({ ...site, seed: `${site.seed} in time` });
  await using repository = await openSmall(site.primary, "afterwards");
  const { problems } = await repository.check({ readData: true });
  const wrong = await operation.verify(repository, site);
  return [
    ...problems.map(({ object, why }) => `check: ${object}: ${why}`),
    ...(wrong === undefined ? [] : [wrong]),
    ...(await sealedDiffer(repository, site)),
  ];
}

const isOurs = (error: unknown): error is StillpointError =>
  error instanceof StillpointError && error.code !== "INTERNAL";

function told(error: unknown): string {
  if (error instanceof StillpointError) return `${error.code}: ${error.what}, ${error.where}: ${error.why}`;
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

/**
 * What is stored is not what was sent, and only reading it can tell. It must be named by a check or by what failed, and no
 * restore may give other bytes; what was sealed before is untouched.
 */
async function damageOf(site: Site, operation: SweptOperation): Promise<{ damaged: string[]; findings: string[] }> {
  try {
    await using primary = await openSmall(site.primary, "primary");
    const findings = await sealedDiffer(primary, site);
    await using repository = await openSmall(site[operation.faultAt], "damage");
    const { problems } = await repository.check({ readData: true });
    if (problems.length > 0) return { damaged: problems.map(({ object }) => object), findings };
    return { damaged: [], findings: [...findings, ...(await afterwards(site, operation))] };
  } catch (error) {
    if (!isOurs(error)) return { damaged: [], findings: [told(error)] };
    return { damaged: [error.where ?? error.what], findings: [] };
  }
}

/** The operation with these faults: how it ended, and what is not as it must be afterwards. `base` is as it was prepared. */
async function trial(
  base: SmallRepository,
  operation: SweptOperation,
  placed: readonly PlacedFault[],
): Promise<{ failed: boolean; named: boolean; findings: string[] }> {
  const title = placed.map(({ method, position, swept }) => `${method} ${position} ${swept.title}`).join(" and ");
  const { faulty, sound, touched } = siteOf(base, operation, title);
  const { promise: until, resolve: hasWaited } = Promise.withResolvers<void>();
  for (const { method, position, swept } of placed)
    faulty.addAt(method, position, swept.fault === "slow" ? { fault: "slow", until } : swept.fault);
  const outcome = await settled(operation.run(touched), () => calls(faulty), hasWaited);
  if (outcome.ended === "hung") return { failed: true, named: false, findings: ["it hangs"] };
  const findings: string[] = [];
  const failed = outcome.ended === "failed";
  if (outcome.ended === "failed" && !isOurs(outcome.error)) findings.push(`it ends with ${told(outcome.error)}`);
  // Of several, the first may have ended the operation.
  if (faulty.clear() > 0 && placed.length === 1) findings.push("the fault was never met");
  if (placed.some(({ swept }) => swept.lasting)) {
    const { damaged, findings: more } = await damageOf(sound, operation);
    findings.push(...more);
    // Packs are too large to be read back: their length is looked at, and their bytes by a check that reads them.
    const silent = failed ? [] : damaged.filter((object) => !object.startsWith("packs/"));
    if (silent.length > 0) findings.push(`it says that it is done, and left damage: ${silent.join(", ")}`);
    return { failed, named: damaged.length > 0, findings };
  }
  const wasHidden = placed.some(({ method }) => method === "list");
  try {
    return { failed, named: false, findings: [...findings, ...(await afterwards(sound, operation, wasHidden))] };
  } catch (error) {
    return { failed, named: false, findings: [...findings, `afterwards: ${told(error)}`] };
  }
}

function begin(): SweepResult {
  return { trials: 0, failed: 0, named: 0, findings: [] };
}

async function tried(result: SweepResult, base: SmallRepository, operation: SweptOperation, placed: PlacedFault[]) {
  const { failed, named, findings } = await trial(base, operation, placed);
  result.trials++;
  if (failed) result.failed++;
  if (named) result.named++;
  const where = placed.map(({ method, position, swept }) => `${method} ${position} ${swept.title}`).join(" and ");
  result.findings.push(...findings.map((finding) => `${operation.title}: ${where}: ${finding}`));
}

async function prepared(start: SmallRepository, operation: SweptOperation) {
  const base = copyOf(start);
  await operation.prepare?.({ primary: base.primary.store, replica: base.replica.store, base, seed: "prepare" });
  const counts = await cleanRun(base, operation);
  const places = METHODS.flatMap((method) =>
    Array.from({ length: counts.get(method) ?? 0 }, (_, position) => ({ method, position })),
  );
  return { base, places };
}

/** One trial for each method, each of its calls and each fault; or `most` faults at each call, others at the next one. */
export async function sweep(
  start: SmallRepository,
  operation: SweptOperation,
  most = Number.POSITIVE_INFINITY,
): Promise<SweepResult> {
  const { base, places } = await prepared(start, operation);
  const result = begin();
  for (const { method, position } of places) {
    const faults = SWEPT_FAULTS[method];
    for (let i = 0; i < Math.min(most, faults.length); i++) {
      const swept = faults[(position * most + i) % faults.length] ?? faults[i];
      if (swept !== undefined) await tried(result, base, operation, [{ method, position, swept }]);
    }
  }
  return result;
}

/** The same byte flipped where it is stored and where it is read back: nobody can tell that from a sound storage. */
function cancel([one, two]: readonly PlacedFault[]): boolean {
  const [a, b] = [one, two].map((placed) => (placed?.swept.fault === "slow" ? undefined : placed?.swept.fault));
  return one?.method !== two?.method && a?.fault === "flip" && b?.fault === "flip" && a.atByte === b.atByte;
}

/** Trials of two faults at once, drawn. */
export async function sweepPairs(
  start: SmallRepository,
  operation: SweptOperation,
  trials: number,
  random: () => number,
): Promise<SweepResult> {
  const { base, places } = await prepared(start, operation);
  const result = begin();
  const draw = <T>(from: readonly T[]): T | undefined => from[Math.floor(random() * from.length)];
  while (result.trials < trials) {
    const placed = [draw(places), draw(places)].flatMap((place) => {
      const swept = place && draw(SWEPT_FAULTS[place.method]);
      return place && swept ? [{ ...place, swept }] : [];
    });
    if (!cancel(placed)) await tried(result, base, operation, placed);
  }
  return result;
}
