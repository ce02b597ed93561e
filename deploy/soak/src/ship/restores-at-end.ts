import { setTimeout as wait } from "node:timers/promises";
import { repositoryReader } from "@stillpoint/cli/point-reader";
import { toInstant } from "@stillpoint/contracts/names";
import { below, randomOf } from "@stillpoint/sample/random";
import { judgeFound, type Moments, type WrittenStore } from "./probes.ts";
import { restorePoint, restoreStore } from "./restore-store.ts";
import { SOAKED_PLAN, type WrittenSystem } from "./written-system.ts";

/** SQLite tells of a time by the looks at its log: this is how far apart they may be on a busy machine. */
const LOOKS_APART_MS = 3_000;
/** Retention does not wait for what is restored here. */
const LET_GO_MS = 60_000;

/** The newest point, the newest moment, and drawn ones of what is kept: each comes back as it was. */
export async function restoresAtEnd(
  written: WrittenSystem,
  { seed, moments }: { seed: number; moments: number },
  keepLogMs: number,
  say: (line: string) => void,
): Promise<string[]> {
  const { stores, restoring, shipped } = written;
  const random = randomOf("ship", seed);
  const violations = await restoresOfPoint(written, say);
  const restored = async (store: WrittenStore, what: string, at: string, bounds: Moments) => {
    const { found, closed, tails, ms } = await restoreStore(restoring, store, at);
    const wrong = judgeFound(store.probes(), found, bounds);
    const log = `from a base, ${closed} closed stretches and ${tails} flushes`;
    violations.push(...judged(store, what, `${found.rows} rows, ${log} (${seconds(ms)})`, wrong, say));
  };
  for (const store of stores) {
    const askedMs = Date.now();
    await untilHeldSince(shipped, store.source);
    await restored(store, "the newest", "latest", { heldMs: askedMs, nothingAfterMs: Number.POSITIVE_INFINITY });
    const { windows } = await shipped.log(store.source);
    const newest = windows.at(-1);
    if (newest === undefined) {
      violations.push(`${store.source} has no window`);
      continue;
    }
    // The log goes on being let go while what was drawn is restored.
    const marginMs = Math.min(LET_GO_MS, keepLogMs / 4);
    const fromMs = Math.max(Date.parse(newest.fromAt), askedMs - keepLogMs + marginMs);
    for (let moment = 1; moment <= moments; moment += 1) {
      const atMs = fromMs + below(random, Math.max(1, askedMs - fromMs));
      const at = toInstant(atMs);
      const slackMs = store.kind === "sqlite" ? LOOKS_APART_MS : 0;
      await restored(store, `at ${at}`, at, { heldMs: atMs - slackMs, nothingAfterMs: atMs });
    }
  }
  return violations;
}

/** The newest point: every store as it was when the point's marks were asked for. */
async function restoresOfPoint({ stores, restoring }: WrittenSystem, say: (line: string) => void): Promise<string[]> {
  const reader = await repositoryReader(restoring.world, restoring.shelf.repository, restoring.shelf);
  await using _reading = reader;
  const point = await reader.find(undefined, SOAKED_PLAN);
  const untilMs = Date.parse(point.cut.at);
  // The wall clock's moment is a whole ms, and so is each row's.
  const heldMs = Math.floor(untilMs - point.cut.windowMs) - 1;
  const violations: string[] = [];
  for (const store of stores) {
    const { found, ms } = await restorePoint(restoring, store, point);
    const wrong = judgeFound(store.probes(), found, { heldMs, nothingAfterMs: untilMs });
    const what = `the point of ${point.cut.at}`;
    violations.push(...judged(store, what, `${found.rows} rows (${seconds(ms)})`, wrong, say));
  }
  return violations;
}

function judged(
  { source }: WrittenStore,
  what: string,
  words: string,
  wrong: readonly string[],
  say: (line: string) => void,
): string[] {
  say(`${wrong.length === 0 ? "✓" : "✗"} ${source}, ${what}: ${words}`);
  for (const each of wrong) say(`    ${each}`);
  return wrong.map((each) => `${source}, ${what}: ${each}`);
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}

/** Two flushes: what was there when it was asked is in the first of them at the latest. */
async function untilHeldSince(shipped: WrittenSystem["shipped"], source: string): Promise<void> {
  let held = (await shipped.log(source)).held?.at;
  for (let changes = 0; changes < 3; ) {
    await wait(200, undefined, { signal: shipped.world.signal });
    const now = (await shipped.log(source)).held?.at;
    if (now !== held) changes += 1;
    held = now;
  }
}
