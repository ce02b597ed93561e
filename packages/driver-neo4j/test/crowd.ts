import { setTimeout as delay } from "node:timers/promises";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext, Driver as StoreDriver } from "@stillpoint/driver/driver";
import neo4j, { type Driver } from "neo4j-driver";
import { expect } from "vitest";
import { z } from "zod";

const WORKERS = 4;
/** Writes a second, of each. */
const RATE = 25;

/** Several writers at once, each with a sequence of its own, who create, join and delete. */
export function startCrowd(driver: Driver) {
  const acknowledged = Array.from({ length: WORKERS }, () => 0);
  let gate: { open: PromiseWithResolvers<void>; reached: PromiseWithResolvers<void>; waiting: number } | undefined;
  let stopped = false;
  const work = async (worker: number) => {
    await using session = driver.session();
    while (!stopped) {
      await session.run(
        "CREATE (c:Crowd {worker: $worker, seq: $seq, text: 'the number ' + $seq}) WITH c " +
          "OPTIONAL MATCH (near:Crowd {worker: $worker, seq: $seq - 3}) " +
          "FOREACH (n IN CASE WHEN near IS NULL THEN [] ELSE [near] END | CREATE (c)-[:NEAR]->(n)) WITH c " +
          "OPTIONAL MATCH (old:Crowd {worker: $worker, seq: $seq - 50}) DETACH DELETE old",
        { worker: neo4j.int(worker), seq: neo4j.int((acknowledged[worker] ?? 0) + 1) },
      );
      acknowledged[worker] = (acknowledged[worker] ?? 0) + 1;
      // About a hundred writes a second from all of them: the machine is to do other things, too.
      await delay(1000 / RATE);
      if (gate === undefined) continue;
      gate.waiting += 1;
      if (gate.waiting === WORKERS) gate.reached.resolve();
      await gate.open.promise;
    }
  };
  const workers = acknowledged.map((_, worker) => work(worker));
  // What fails is thrown where they are waited for, and not outside of every test.
  for (const each of workers) each.catch(() => undefined);
  return {
    /** All that was acknowledged, while nobody writes until the result is disposed. */
    async quiet() {
      const own = { open: Promise.withResolvers<void>(), reached: Promise.withResolvers<void>(), waiting: 0 };
      gate = own;
      await Promise.race([own.reached.promise, Promise.all(workers)]);
      return {
        acknowledged: [...acknowledged],
        [Symbol.dispose]: () => {
          gate = undefined;
          own.open.resolve();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      await Promise.all(workers);
    },
  };
}

const row = z.object({ values: z.tuple([z.number(), z.number()]) });

/** The driver, with the crowd quiet for each mark and counted after the restore. */
export function withCrowd(
  driver: StoreDriver<Neo4jSource>,
  crowd: ReturnType<typeof startCrowd>,
): StoreDriver<Neo4jSource> {
  const atMark = new Map<string, number[]>();
  return {
    ...driver,
    async open(source: Neo4jSource, context: DriverContext) {
      const capture = await driver.open(source, context);
      return {
        ...capture,
        async mark(request) {
          using quiet = await crowd.quiet();
          atMark.set(request.cutId, quiet.acknowledged);
          const mark = await capture.mark(request);
          expect(mark.counts?.["(:Crowd)"], "counts are taken while nobody writes").toBeGreaterThan(0);
          return mark;
        },
      };
    },
    async start(input, context) {
      await crowd[Symbol.asyncDispose]();
      const sandbox = await driver.start(input, context);
      const text = "MATCH (c:Crowd) RETURN c.worker, max(c.seq) ORDER BY c.worker";
      const rows = await Array.fromAsync(sandbox.query({ type: "statement", id: "crowd", text }));
      const restored = rows.map((each) => row.parse(each).values[1]);
      expect(restored, "each writer's last acknowledged write, and none after it").toEqual(
        atMark.get(input.mark.cutId),
      );
      return sandbox;
    },
  };
}
