import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import { toInstant } from "@stillpoint/contracts/names";
import { below, randomOf } from "@stillpoint/sample/random";
import { numbersOf } from "../numbers.ts";
import { judgeFound } from "./probes.ts";
import { restoreStore } from "./restore-store.ts";
import { takeBase } from "./take-base.ts";
import { startWrittenSystem } from "./written-system.ts";

const USAGE = `npm run soak -- moments [--restores 20] [--minutes 3] [--writers 4] [--seed N]
  --restores N   of each store, to drawn moments of the time that was written in
  --writers N    of PostgreSQL that move money beside the one with numbered rows`;

/** SQLite tells of a time by the looks at its log: this is how far apart they may be on a busy machine. */
const LOOKS_APART_MS = 3_000;

/**
 * Writes under load, and then brings each store back to drawn moments: everything that was committed up to the moment is there,
 * nothing after it, money is conserved, and the store's own checker is content.
 */
export async function soakMoments(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const otherwise = { restores: 20, minutes: 3, writers: 4, seed: ownSeed };
  const { restores, minutes, writers, seed } = numbersOf(args, otherwise, USAGE);
  const random = randomOf("moments", seed);
  const told = (line: string) => world.out(`${line}\n`);
  await using written = await startWrittenSystem(world, {
    load: { everyMs: 20, changes: 10, others: writers, settings: { checkpoint_timeout: "30s" } },
    flush: "1s",
    plan: { schedule: [], validate: false },
    environment: { STILLPOINT_MAINTENANCE: "gc: off; scrub: off; check: off" },
    isolate: false,
  });
  const { shipped, stores, restoring } = written;
  told(
    `moments: ${restores} of each store, written for ${minutes} minutes by ${writers} writers and one, seed ${seed}`,
  );
  await takeBase(
    shipped,
    stores.map(({ source }) => source),
  );
  const fromMs = Date.now();
  await wait(minutes * 60_000, undefined, { signal: world.signal });
  const untilMs = Date.now();
  for (const store of stores) {
    const place = await store.place();
    while (((await shipped.log(store.source)).held?.at ?? "") < place)
      await wait(200, undefined, { signal: world.signal });
  }
  const violations: string[] = [];
  for (const store of stores) {
    for (let restore = 1; restore <= restores; restore += 1) {
      const atMs = fromMs + below(random, untilMs - fromMs);
      const at = toInstant(atMs);
      const heldMs = atMs - (store.kind === "sqlite" ? LOOKS_APART_MS : 0);
      const { found, closed, tails, ms } = await restoreStore(restoring, store, at, { checked: true });
      const wrong = judgeFound(store.probes(), found, { heldMs, nothingAfterMs: atMs });
      told(
        `${wrong.length === 0 ? "✓" : "✗"} ${store.kind} ${restore} at ${at}: ${found.rows} rows; ${closed} closed stretches and ${tails} flushes (${(ms / 1_000).toFixed(1)} s)`,
      );
      for (const each of wrong) told(`    ${each}`);
      violations.push(...wrong.map((each) => `${store.kind} at ${at}: ${each}`));
    }
  }
  return violations;
}
