import { expect, test } from "vitest";
import { findAnomalies, type SizedSource } from "../src/anomalies/find-anomalies.ts";
import { trialPoint } from "./trial-point.ts";

const MB = 1_000_000;

function source(bytes: number, storedBytes: number, counts?: Record<string, number>): SizedSource {
  const [one] = trialPoint("shop", "2026-01-01T12:00:00.000Z", "one").sources;
  if (one === undefined) throw new Error("a trial point has a source");
  return {
    ...one,
    bytes,
    dataBytes: bytes,
    fresh: { bytes: 0, storedBytes: 0 },
    storedBytes,
    mark: { ...one.mark, ...(counts === undefined ? {} : { counts }) },
  };
}
const usual = (counts?: Record<string, number>) =>
  [100, 101, 99, 180, 102, 100, 98].map((size) => source(size * MB, MB / 2, counts));
const whats = (found: ReturnType<typeof findAnomalies>) => found.map(({ what }) => what);

test("a size is compared with the median, so that one odd point among the earlier ones changes nothing", () => {
  expect(findAnomalies(source(149 * MB, MB / 2), usual())).toEqual([]);
  expect(findAnomalies(source(151 * MB, MB / 2), usual())).toEqual([
    { what: "size", value: 151 * MB, usual: 100 * MB, unit: "bytes" },
  ]);
  expect(whats(findAnomalies(source(49 * MB, MB / 2), usual()))).toEqual(["size"]);
});

test("a log is as long as the time since its base, and no part of the size", () => {
  const logged = [10, 400, 30, 700].map((log) => ({ ...source(100 * MB, MB / 2), bytes: (100 + log) * MB }));
  expect(findAnomalies({ ...source(100 * MB, MB / 2), bytes: 2_000 * MB }, logged)).toEqual([]);
});

test("small sources may double, and a few points say nothing", () => {
  const small = [1, 1, 1, 1].map(() => source(400_000, 0));
  expect(findAnomalies(source(900_000, 500_000), small)).toEqual([]);
  expect(findAnomalies(source(900 * MB, 0), usual().slice(0, 2))).toEqual([]);
});

test("of what is new when most of it was known before", () => {
  expect(findAnomalies(source(100 * MB, 20 * MB), usual())).toEqual([]);
  expect(findAnomalies(source(100 * MB, 90 * MB), usual())).toEqual([
    { what: "share of it that is new", value: 90, usual: 0.5, unit: "%" },
  ]);
});

test("of data that is new each time when it does not compress any more", () => {
  const compressed = [1, 2, 3, 4].map(() => source(100 * MB, 40 * MB));
  expect(whats(findAnomalies(source(100 * MB, 100 * MB), compressed))).toEqual(["share of it that is new"]);
});

test("of new data that compresses no more, where there is enough of it, however much is new at other times", () => {
  const fresh = (bytes: number, storedBytes: number) => ({ ...source(100 * MB, 0), fresh: { bytes, storedBytes } });
  const before = [fresh(20 * MB, 5 * MB), fresh(60 * MB, 18 * MB), fresh(2 * MB, MB / 2), fresh(0, 0)];
  expect(findAnomalies(fresh(20 * MB, 19 * MB), before)).toEqual([
    { what: "what is new, compressed to", value: 95, usual: 25, unit: "%" },
  ]);
  expect(findAnomalies(fresh(20 * MB, 10 * MB), before)).toEqual([]);
  expect(findAnomalies(fresh(9 * MB, 9 * MB), before)).toEqual([]);
  expect(findAnomalies(fresh(20 * MB, 19 * MB), [fresh(0, 0), ...before.slice(2)])).toEqual([]);
});

test("a point that made its own base is no leap where those before it rested on their log", () => {
  const log = {
    place: { stream: "1", at: "1" },
    at: "2026-01-01T12:00:00.000Z",
    target: { by: "name", name: "cut" },
  } as const;
  const resting = [1, 2, 3, 4].map(() => {
    const each = source(100 * MB, 400);
    return { ...each, fresh: { bytes: 20 * MB, storedBytes: 4 * MB }, mark: { ...each.mark, log } };
  });
  const based = { ...source(100 * MB, 60 * MB), fresh: { bytes: 60 * MB, storedBytes: 60 * MB } };
  expect(findAnomalies(based, resting)).toEqual([]);
  expect(whats(findAnomalies(based, [...resting, ...usual().slice(0, 3)]))).toEqual(["share of it that is new"]);
});

test("of counts that leap, or that are gone", () => {
  const before = usual({ "public.orders": 10_000, "public.tiny": 10, "public.gone": 500 });
  const now = source(100 * MB, 0, { "public.orders": 4_000, "public.tiny": 90 });
  expect(findAnomalies(now, before)).toEqual([
    { what: "public.gone", value: 0, usual: 500, unit: "count" },
    { what: "public.orders", value: 4_000, usual: 10_000, unit: "count" },
  ]);
  expect(findAnomalies(source(100 * MB, 0), before)).toEqual([]); // nothing was counted this time
});
