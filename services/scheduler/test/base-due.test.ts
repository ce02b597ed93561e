import { expect, it } from "vitest";
import { type BaseState, baseDue } from "../src/base-due.ts";

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;
const state = (more: Partial<BaseState> = {}): BaseState => ({
  kind: "postgres",
  replay: { storedMs: NOW - HOUR, baseBytes: 1e12, logBytes: 1_000_000 },
  newestBaseMs: NOW - HOUR,
  gapMs: undefined,
  bytesPerSecond: 10_000_000,
  rtoMs: 900_000,
  baseMs: 24 * HOUR,
  nextLongMs: undefined,
  ...more,
});
const GIB = 1_073_741_824;
const standing = (ageMs: number, logBytes = 0, baseBytes = 1e12) => ({ storedMs: NOW - ageMs, baseBytes, logBytes });

it.each<[string, Partial<BaseState>, RegExp | undefined]>([
  ["no base is due where one serves", {}, undefined],
  ["a log that no base serves asks for one", { replay: undefined, newestBaseMs: undefined }, /no base serves/],
  [
    "not while one was just made, whose log is on its way",
    { replay: undefined, newestBaseMs: NOW - 60_000 },
    undefined,
  ],
  [
    "but where a gap came behind it, over which no log comes",
    { replay: undefined, newestBaseMs: NOW - 60_000, gapMs: NOW - 30_000 },
    /no base serves/,
  ],
  [
    "and not where it was made behind that gap",
    { replay: undefined, newestBaseMs: NOW - 60_000, gapMs: NOW - 90_000 },
    undefined,
  ],
  ["nor where that one will make the replay short", { replay: standing(HOUR, 9e9), newestBaseMs: NOW }, undefined],
  ["but where its log never came", { replay: standing(HOUR, 9e9), newestBaseMs: NOW - 600_000 }, /a third/],
  ["a replay of a third of the RTO is still borne", { replay: standing(HOUR, 3_000_000_000) }, undefined],
  ["a longer one is not", { replay: standing(HOUR, 3_000_000_001) }, /300 s, more than a third/],
  [
    "what rehearsals measured decides",
    { replay: standing(HOUR, 3_000_000_001), bytesPerSecond: 20_000_000 },
    undefined,
  ],
  [
    "before one has, the kind's slow rate does",
    { kind: "neo4j", replay: standing(HOUR, 1_300_000_000), bytesPerSecond: undefined },
    /325 s/,
  ],
  [
    "what a fresh base has to replay itself is borne by any RTO",
    { replay: standing(HOUR, 33_554_432), bytesPerSecond: 1_000 },
    undefined,
  ],
  ["and no more than that", { replay: standing(HOUR, 33_554_433), bytesPerSecond: 1_000 }, /more than a third/],
  ["a log of four times its base is borne", { replay: standing(HOUR, 8 * GIB, 2 * GIB), rtoMs: 24 * HOUR }, undefined],
  [
    "a longer one is not, however much time there is",
    { replay: standing(HOUR, 8 * GIB + 1, 2 * GIB), rtoMs: 24 * HOUR },
    /8193 MiB, is long beside its base of 2048 MiB/,
  ],
  ["beside a small base a gibibyte is borne", { replay: standing(HOUR, GIB, 1_000), rtoMs: 24 * HOUR }, undefined],
  ["and no more", { replay: standing(HOUR, GIB + 1, 1_000), rtoMs: 24 * HOUR }, /long beside its base of 1 MiB/],
  ["a base grows too old by its plan", { replay: standing(24 * HOUR) }, /older than 24 h/],
  ["and not before", { replay: standing(24 * HOUR - 1) }, undefined],
  ["a point that is kept for long is near", { replay: standing(7 * HOUR), nextLongMs: NOW + HOUR }, /kept for long/],
  ["but not near enough", { replay: standing(7 * HOUR), nextLongMs: NOW + HOUR + 1 }, undefined],
  ["its base will be fresh then", { replay: standing(5 * HOUR), nextLongMs: NOW + HOUR }, undefined],
])("%s", (_, more, expected) => {
  const why = baseDue(state(more), NOW);
  if (expected === undefined) expect(why).toBeUndefined();
  else expect(why).toMatch(expected);
});
