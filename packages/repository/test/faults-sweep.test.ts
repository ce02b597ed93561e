import { setImmediate } from "node:timers/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { settled } from "../proof/settled.ts";
import { type SmallRepository, smallRepository } from "../proof/small-repository.ts";
import { sweep } from "../proof/sweep.ts";
import type { Site } from "../proof/swept-operation.ts";
import { SWEPT_OPERATIONS } from "../proof/swept-operations.ts";
import { namesIn } from "./trial.ts";

/** `npm run soak -- faults` tries all of them at every call. */
const FAULTS_AT_EACH_CALL = 2;

let base: SmallRepository;
beforeAll(async () => {
  base = await smallRepository(2);
});

/** Many small trials: on a machine that has other work too they take their time. */
const PATIENT = { timeout: 300_000 };

describe("with one fault at every call of the object store", PATIENT, () => {
  for (const operation of SWEPT_OPERATIONS)
    it(`${operation.title} fails loudly or succeeds, and comes out right when it is run again`, async () => {
      const { trials, failed, findings } = await sweep(base, operation, FAULTS_AT_EACH_CALL);
      expect(findings).toEqual([]);
      expect(failed).toBeGreaterThan(0);
      expect(trials).toBeGreaterThan(failed);
    });

  it("an operation that does damage when it fails, hangs, or fails in words of its own is found", async () => {
    const [seal] = SWEPT_OPERATIONS.filter(({ title }) => title === "seal");
    if (seal === undefined) throw new Error("no seal among the operations");
    const whenItFails = async (then: (site: Site) => Promise<unknown>) => {
      const run = (site: Site) => seal.run(site).catch(() => then(site).then(() => undefined));
      return (await sweep(base, { ...seal, run }, FAULTS_AT_EACH_CALL)).findings.join("\n");
    };
    const [pack = ""] = await namesIn(base.primary.store, "packs/");
    expect(await whenItFails(({ primary }) => primary.delete(pack))).toContain(`${pack}: the object is missing`);
    expect(await whenItFails(() => Promise.reject(new TypeError("of nobody")))).toContain("it ends with TypeError");
  });

  it("work that waits for ever is told from work that takes long", async () => {
    const never = new Promise<never>(() => undefined);
    expect(await settled(never, () => 0)).toEqual({ ended: "hung" });
    let calls = 0;
    let quiet = 0;
    const { promise, resolve } = Promise.withResolvers<string>();
    const long = async () => {
      for (; calls < 1_000; calls++) await setImmediate();
      return await promise;
    };
    const told = () => {
      quiet++;
      resolve("late");
    };
    expect(await settled(long(), () => calls, told)).toEqual({ ended: "done", result: "late" });
    expect(quiet).toBe(1);
  });
});
