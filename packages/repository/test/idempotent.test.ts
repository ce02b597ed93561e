import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { beforeAll, describe, expect, it } from "vitest";
import { copyOf, makeSmall, openSmall, type SmallRepository, smallRepository } from "../proof/small-repository.ts";
import type { Site } from "../proof/swept-operation.ts";
import { SWEPT_OPERATIONS } from "../proof/swept-operations.ts";
import { proofKey } from "../src/points.ts";
import { pointOf, trialId } from "./point-trial.ts";

/** Every object with the hash of its bytes; leases come and go. */
function listing({ primary, replica }: SmallRepository): string[] {
  return [primary, replica].flatMap(({ objects }, i) =>
    [...objects]
      .filter(([name]) => !name.startsWith("leases/"))
      .map(([name, { bytes }]) => `${i} ${name} ${createHash("sha256").update(bytes).digest("hex")}`)
      .sort(),
  );
}

let base: SmallRepository;
beforeAll(async () => {
  base = await smallRepository(2);
});

async function twice(run: (site: Site) => Promise<void>, prepare?: (site: Site) => Promise<void>) {
  const copied = copyOf(base);
  const site = (seed: string): Site => ({
    primary: copied.primary.store,
    replica: copied.replica.store,
    base: copied,
    seed,
  });
  await prepare?.(site("prepare"));
  await run(site("first"));
  const first = listing(copied);
  await run(site("second"));
  expect(listing(copied)).toEqual(first);
}

/** Asked for with an order of its own, it is a further one each time. */
const ANEW = ["hold", "rotate", "new epoch"];
/** The first to answer for a point that another try put says so for good; from then on it is said. */
const SAID_ONCE = ["seal"];

describe("the same command twice changes no byte", () => {
  for (const operation of SWEPT_OPERATIONS.filter(({ title }) => ![...ANEW, ...SAID_ONCE].includes(title)))
    it(`${operation.title}`, () => twice(operation.run, operation.prepare));

  for (const operation of SWEPT_OPERATIONS.filter(({ title }) => SAID_ONCE.includes(title)))
    it(`${operation.title}, once another try has answered for it`, () =>
      twice(operation.run, async (site) => {
        await operation.prepare?.(site);
        for (const seed of ["put", "answered"]) await operation.run({ ...site, seed });
      }));

  it("init of what is there is refused", () =>
    twice(async ({ primary, seed }) => {
      await expect(makeSmall(primary, seed)).rejects.toBeInstanceOf(StillpointError);
    }));

  it("a proof", () =>
    twice(async ({ primary, seed }) => {
      await using repository = await openSmall(primary, seed);
      const [point, at] = [pointOf(1, []), "2026-01-02T03:04:05.000Z"];
      const proof = {
        proofId: trialId(900),
        pointId: point.pointId,
        plan: "shop",
        verdict: "pass" as const,
        reasons: [],
        checks: [{ name: "orders: opens", verdict: "pass" as const, detail: "", sources: ["orders"] }],
        rtoMs: 1,
        ms: 1,
        startedAt: at,
        finishedAt: at,
      };
      expect(proofKey(await repository.sealProof(proof))).toBe(proofKey(proof));
    }));
});
