import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import { fraction, randomOf } from "@stillpoint/sample/random";
import { numbersOf } from "../numbers.ts";
import { judgeFound, type WrittenStore } from "./probes.ts";
import { restoreStore } from "./restore-store.ts";
import { takeBase } from "./take-base.ts";
import { startWrittenSystem } from "./written-system.ts";

const USAGE = `npm run soak -- rpo [--rounds 5] [--seed N] [--every 200]
  --rounds N   crashes at each setting
  --every N    ms between two rows of the probe`;

/** By the plan's words, and how much may be lost at most. */
const SETTINGS = [
  { flush: "5s", mostMs: 10_000 },
  { flush: "1s", mostMs: 2_000 },
] as const;
const RUN_MS = 12_000;

/** How much is lost: the age of the oldest row that does not come back, at the moment of the crash. Pure. */
export function lostMs({ acked }: ReturnType<WrittenStore["probes"]>, newest: number, crashedMs: number): number {
  const first = acked.find(({ n, ackedMs }) => n > newest && ackedMs <= crashedMs);
  return first === undefined ? 0 : crashedMs - first.ackedMs;
}

/** Crashes stores together with their agents, with their disk gone, and measures what does not come back. */
export async function soakRpo(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { rounds, seed, every } = numbersOf(args, { rounds: 5, seed: ownSeed, every: 200 }, USAGE);
  const random = randomOf("rpo", seed);
  const told = (line: string) => world.out(`${line}\n`);
  told(`rpo: ${rounds} crashes at each setting, a row each ${every} ms, seed ${seed}`);
  const violations: string[] = [];
  for (const { flush, mostMs } of SETTINGS) {
    const losses = new Map<string, number[]>();
    for (let round = 1; round <= rounds; round += 1)
      for (const { source, kind, lost, rows, wrong } of await crash(world, flush, every, fraction(random))) {
        losses.set(kind, [...(losses.get(kind) ?? []), lost]);
        told(`flush ${flush}, crash ${round}: ${kind} lost ${rows} rows, the oldest of them ${seconds(lost)} old`);
        violations.push(...wrong.map((each) => `flush ${flush}, ${source}: ${each}`));
      }
    for (const [kind, lost] of losses) {
      const most = Math.max(...lost);
      const middle = lost.toSorted((a, b) => a - b)[lost.length >> 1] ?? 0;
      const reached = most <= mostMs ? "reaches" : "misses";
      told(
        `${kind}, flush ${flush}: at most ${seconds(most)} lost, middle ${seconds(middle)}; ${reached} ${seconds(mostMs)}`,
      );
      if (most > mostMs) violations.push(`${kind} lost ${seconds(most)} with a flush of ${flush}`);
    }
  }
  return violations;
}

async function crash(world: World, flush: string, everyMs: number, drawn: number) {
  await using written = await startWrittenSystem(world, {
    load: { everyMs, changes: 5, settings: {} },
    flush,
    plan: { schedule: [], validate: false },
    environment: { STILLPOINT_MAINTENANCE: "gc: off; scrub: off; check: off" },
  });
  const { shipped, stores, agents, restoring } = written;
  await takeBase(
    shipped,
    stores.map(({ source }) => source),
  );
  await wait(RUN_MS / 2 + drawn * RUN_MS, undefined, { signal: world.signal });
  const crashedMs = Date.now();
  await Promise.all([...agents.map((agent) => agent.kill()), ...stores.map((store) => store.lose())]);
  const results = [];
  for (const store of stores) {
    const probes = store.probes();
    const { found } = await restoreStore(restoring, store, "latest");
    const wrong = judgeFound(probes, found, { heldMs: 0, nothingAfterMs: Number.POSITIVE_INFINITY });
    const rows = probes.acked.filter(({ n, ackedMs }) => n > found.newest && ackedMs <= crashedMs).length;
    const lost = lostMs(probes, found.newest, crashedMs);
    results.push({ source: store.source, kind: store.kind, lost, rows, wrong });
  }
  return results;
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
