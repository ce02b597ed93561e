import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { beforeAll, describe, expect, it } from "vitest";
import { type HeldStore, heldStore } from "../proof/held-store.ts";
import { cheapOpener, makeSmall } from "../proof/small-repository.ts";
import { changeLog } from "../src/changes/change-log.ts";
import { deletionOf } from "../src/changes/deletion.ts";
import { isThereForGood, wordsOn } from "../src/changes/existence.ts";
import { sayNotSealed, sayUndeleted } from "../src/changes/undeleting.ts";
import { type KeyRing, openKeyRing } from "../src/keys/key-ring.ts";
import { type Actor, everyChoice, gated, interleave } from "./interleavings.ts";
import { trialId } from "./point-trial.ts";
import { NOW, randomFrom } from "./trial.ts";

const POINT = trialId(1);
const OBJECT = `points/${POINT}`;
/** In which order the ids of two who say something at the same sequence come. */
const ORDERS = [
  ["a", "b", "c"],
  ["c", "b", "a"],
] as const;

let base: HeldStore;
/** Of the point nothing was said. */
let unworded: HeldStore;
let ring: KeyRing;
beforeAll(async () => {
  base = heldStore(NOW);
  await makeSmall(base.store, "undeletes at once");
  ring = (await openKeyRing(base.store, cheapOpener())).ring;
  unworded = base.copy();
  await logOf(base.store, "0").append({ change: "delete", object: OBJECT, by: "somebody" });
});

/** Ids of `letter` come behind those of letters before it. */
function logOf(store: ObjectStore, letter: string) {
  const random = randomFrom(letter);
  const drawn = (length: number) => {
    const bytes = random(length);
    bytes[0] = 0;
    bytes[1] = letter.charCodeAt(0);
    return bytes;
  };
  return changeLog({ store, ring, now: () => NOW, random: drawn });
}

const LOST = new StillpointError("LEASE_LOST", { what: "Asleep for too long" });

/** An undelete of which each confirmation comes out as said; what is confirmed further on is found whole. */
function undelete(store: ObjectStore, letter: string, isWhole: boolean): Actor<string> {
  return async (gate) => {
    const log = logOf(gated(store, "changes/", gate), letter);
    const before = wordsOn(await log.all(), OBJECT);
    if (isThereForGood(before[0])) return "undeleted";
    const confirm = () => (isWhole ? Promise.resolve() : Promise.reject(LOST));
    await sayUndeleted(log, { object: OBJECT, by: letter, before, confirm });
    return "undeleted";
  };
}

function remove(store: ObjectStore, letter: string): Actor<string> {
  return async (gate) => {
    const log = logOf(gated(store, "changes/", gate), letter);
    if (deletionOf(await log.newest(), POINT) === undefined)
      await log.append({ change: "delete", object: OBJECT, by: letter });
    return "deleted";
  };
}

async function isDeleted({ store }: HeldStore): Promise<boolean> {
  return deletionOf(await logOf(store, "z").newest(), POINT) !== undefined;
}

/** A seal that found the point there and answers for it, and the one that put it there and was too late. */
function answer(store: ObjectStore, letter: string): Actor<string> {
  return async (gate) => {
    const log = logOf(gated(store, "changes/", gate), letter);
    const before = wordsOn(await log.all(), OBJECT);
    const confirm = async () => undefined;
    if (before[0] === undefined || !isThereForGood(before[0]))
      await sayUndeleted(log, { object: OBJECT, by: letter, before, confirm });
    return "answered";
  };
}
function tooLate(store: ObjectStore, letter: string): Actor<string> {
  return async (gate) => {
    const log = logOf(gated(store, "changes/", gate), letter);
    await sayNotSealed(log, { object: OBJECT, by: letter, reason: "it was sealed too late" });
    return "not sealed";
  };
}

describe("in every order of their calls", () => {
  it("a seal that was answered is not undone by the one that was too late; one that nobody answered is", async () => {
    for (const [one, two] of ORDERS)
      await everyChoice(async (choose) => {
        const held = unworded.copy();
        const { outcomes } = await interleave([answer(held.store, one), tooLate(held.store, two)], choose);
        expect(outcomes).toMatchObject([{ value: "answered" }, { value: "not sealed" }]);
        expect(await isDeleted(held)).toBe(false);
      });
    const held = unworded.copy();
    await interleave([tooLate(held.store, "a")], () => 0);
    expect(await isDeleted(held)).toBe(true);
  });

  it("an undelete that was answered is not undone by another that fails", async () => {
    for (const [one, two] of ORDERS) {
      const runs = await everyChoice(async (choose) => {
        const held = base.copy();
        const actors = [undelete(held.store, one, true), undelete(held.store, two, false)];
        const { outcomes } = await interleave(actors, choose);
        expect(outcomes[0]).toMatchObject({ value: "undeleted" });
        expect(await isDeleted(held)).toBe(false);
      });
      expect(runs).toBeGreaterThan(200);
    }
  });

  it("of two undeletes that fail neither leaves the point undeleted", async () => {
    await everyChoice(async (choose) => {
      const held = base.copy();
      const { outcomes } = await interleave(
        [undelete(held.store, "a", false), undelete(held.store, "b", false)],
        choose,
      );
      expect(outcomes).toMatchObject([{ reason: LOST }, { reason: LOST }]);
      expect(await isDeleted(held)).toBe(true);
    });
  });

  it("of an undelete and a delete that do not overlap the later one counts", async () => {
    const seen = new Set<string>();
    for (const [one, two] of ORDERS)
      await everyChoice(async (choose) => {
        const held = base.copy();
        const { outcomes, spans } = await interleave(
          [undelete(held.store, one, true), remove(held.store, two)],
          choose,
        );
        expect(outcomes).toMatchObject([{ value: "undeleted" }, { value: "deleted" }]);
        const [undeleted, deleted] = spans;
        if (undeleted === undefined || deleted === undefined) throw new Error("two spans");
        const order =
          undeleted.ended < deleted.begun
            ? "delete last"
            : deleted.ended < undeleted.begun
              ? "undelete last"
              : "at once";
        seen.add(order);
        if (order !== "at once") expect(await isDeleted(held)).toBe(order === "delete last");
      });
    expect([...seen].sort()).toEqual(["at once", "delete last", "undelete last"]);
  });
});

it("an undelete that was answered last stays, whatever two others and a delete do at the same time", async () => {
  let state = 1;
  const draw = (of: number) => {
    state = (state * 48_271) % 2_147_483_647;
    return state % of;
  };
  for (let run = 0; run < 800; run++) {
    const [one, two, three] = ORDERS[run % 2] ?? ORDERS[0];
    const held = base.copy();
    const undeletes = [
      undelete(held.store, one, true),
      undelete(held.store, two, false),
      undelete(held.store, three, run % 4 < 2),
    ];
    const actors = run % 8 < 4 ? undeletes : [...undeletes, remove(held.store, "d")];
    const { outcomes, spans } = await interleave(actors, draw);
    const answered = spans.filter((_, i) => i < 3 && outcomes[i]?.status === "fulfilled");
    expect(answered.length).toBeGreaterThan(0);
    const deleted = spans[3]?.ended ?? 0;
    // Nobody wanted it deleted once this one had begun.
    if (answered.some(({ begun }) => begun > deleted)) expect(await isDeleted(held)).toBe(false);
  }
});
