import { setImmediate } from "node:timers/promises";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { expect, it } from "vitest";
import { BY, files, garbageTrial, trialId } from "./garbage-trial.ts";
import { pointOf } from "./point-trial.ts";
import { digests, head, type Item, namesIn, tarOf, unpack } from "./trial.ts";

const MINUTE = 60_000;
const WRITERS = 4;
const ROUNDS = 9;
/** Everything that may go soon goes soon: what holds it is that others are at work with it. */
const SOON = { settings: { undeleteMs: 0, graceMs: 4 * MINUTE, youngMs: 0 } };

/** Every call gives the others their turn. */
function taking(store: ObjectStore): ObjectStore {
  const turn = async <Result>(work: () => Promise<Result>) => {
    await setImmediate();
    return await work();
  };
  return {
    ...store,
    put: (...args) => turn(() => store.put(...args)),
    get: (...args) => turn(() => store.get(...args)),
    head: (...args) => turn(() => store.head(...args)),
    delete: (...args) => turn(() => store.delete(...args)),
  };
}

it("four writers, a restore and a collector at once, each a process of its own, give back every byte", async () => {
  await using trial = await garbageTrial();
  const kept = files(100, 6);
  await trial.point(99, kept);
  const points = new Map<number, Item[]>([[99, kept]]);
  let writing = WRITERS;

  async function write(writer: number): Promise<void> {
    const repository = await trial.open(taking(trial.store));
    for (let round = 0; round < ROUNDS; round++) {
      const n = writer * 10 + round;
      // What others wrote, and gave up by now or soon, beside what is its own.
      const items = [...files((writer + round) % WRITERS), ...files(200 + n, 1)];
      await repository.writeBackup(head(`b${n}`), tarOf(items));
      await repository.sealPoint(pointOf(n, [`b${n}`]));
      points.set(n, items);
      if (round === 0) continue;
      points.delete(n - 1);
      await repository.deletePoint(trialId(n - 1), BY);
    }
  }
  async function restore(): Promise<number> {
    const repository = await trial.open(taking(trial.store));
    let restores = 0;
    for (; writing > 0; restores++) expect(digests(await unpack(repository.readBackup("b99")))).toEqual(digests(kept));
    return restores;
  }
  async function collect(): Promise<number> {
    const repository = await trial.open(taking(trial.store));
    let freed = 0;
    while (writing > 0) {
      trial.clock.pass(5 * MINUTE);
      freed += (await repository.collectGarbage(SOON)).freed.bytes;
    }
    return freed;
  }

  const writers = Array.from({ length: WRITERS }, (_, writer) => write(writer + 1).finally(() => writing--));
  const [restores, freed] = await Promise.all([restore(), collect(), ...writers]);
  expect(restores).toBeGreaterThan(2);
  expect(freed).toBeGreaterThan(1_000_000);
  expect(points.size).toBe(1 + WRITERS);
  const later = await trial.open();
  expect((await later.check({ readData: true })).problems).toEqual([]);
  for (const [n, items] of points) expect(await trial.restores(n, items, later)).toBe(true);
  await trial.collectAll();
  for (const [n, items] of points) expect(await trial.restores(n, items)).toBe(true);
  expect(await namesIn(trial.store, "points/")).toHaveLength(points.size);
});
