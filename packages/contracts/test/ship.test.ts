import { shipSettings } from "@stillpoint/contracts/ship";
import { sourceSpec } from "@stillpoint/contracts/source";
import { expect, test } from "vitest";

const orders = { kind: "postgres", url: "postgres://backup@db/orders" };

test("a source with a log is shipped unless its plan says off, and one without a log is not", () => {
  const settingsOf = (spec: unknown) => shipSettings(sourceSpec.parse(spec));
  expect(settingsOf(orders)).toEqual({ flushMs: 5_000, retainMostBytes: 4 * 2 ** 30, baseMs: 86_400_000 });
  expect(settingsOf({ ...orders, ship: { flush: "500ms", retain: "20 GB", base: "12h" } })).toEqual({
    flushMs: 500,
    retainMostBytes: 20e9,
    baseMs: 43_200_000,
  });
  expect(settingsOf({ ...orders, ship: "off" })).toBeUndefined();
  expect(settingsOf({ kind: "neo4j", url: "bolt://graph" })).toBeUndefined();
  expect(settingsOf({ kind: "neo4j", url: "bolt://graph", data: "/data" })?.baseMs).toBe(7 * 86_400_000);
  expect(settingsOf({ kind: "files", paths: ["/etc"] })).toBeUndefined();
});

test("a spec that was read is one that can be read, and the same", () => {
  const read = sourceSpec.parse({ ...orders, ship: { flush: "1m" } });
  expect(sourceSpec.parse(read)).toEqual(read);
});

test.each([
  { flush: "50ms" },
  { flush: "1d" },
  { flush: "fast" },
  { retain: "0 B" },
  { retain: "much" },
  { base: "1m" },
  { flsh: "1s" },
])("%j is refused", (ship) => {
  expect(sourceSpec.safeParse({ ...orders, ship }).success).toBe(false);
});
