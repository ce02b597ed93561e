import { BUCKETS } from "@stillpoint/contracts/topology";
import { afterAll, beforeAll, expect, expectTypeOf, test } from "vitest";
import type { Bucket } from "../src/bucket.ts";
import type { Bus } from "../src/bus.ts";
import { type Nats, testBus, testConnection, testNats, until } from "./fixture.ts";

let nats: Nats;
let bus: Bus;
let bucket: Bucket<(typeof BUCKETS)["cancellations"]>;
beforeAll(async () => {
  nats = await testNats();
  bus = await testBus(nats.server);
  bucket = await bus.bucket(BUCKETS.cancellations);
});
afterAll(async () => {
  await bus[Symbol.asyncDispose]();
  await nats[Symbol.asyncDispose]();
});

const value = (reason: string) => ({ at: "2026-01-02T03:04:05.006Z", reason });

test("what is put is got, with its revision, and what is deleted is not there", async () => {
  const revision = await bucket.put("a", value("one"));
  const got = await bucket.get("a");
  expect(got).toEqual({ key: "a", value: value("one"), revision });
  expectTypeOf(got?.value.reason).toEqualTypeOf<string | undefined>();
  expect(await bucket.delete("a")).toBe(true);
  expect(await bucket.get("a")).toBeUndefined();
  expect(await bucket.get("never")).toBeUndefined();
});

test("of two who create only one writes, and the other sees what is there; a deleted key can be created again", async () => {
  const [first, second] = await Promise.all([bucket.create("c", value("x")), bucket.create("c", value("y"))]);
  expect([first.written, second.written].toSorted()).toEqual([false, true]);
  const lost = first.written ? second : first;
  expect(lost).toMatchObject({ current: { key: "c", value: { reason: first.written ? "x" : "y" } } });
  await bucket.delete("c");
  expect(await bucket.create("c", value("z"))).toMatchObject({ written: true });
});

test("an update of an older revision is a conflict, not an error, and changes nothing", async () => {
  const revision = await bucket.put("u", value("one"));
  const newer = await bucket.update("u", value("two"), revision);
  expect(newer).toMatchObject({ written: true });
  expect(await bucket.update("u", value("three"), revision)).toMatchObject({
    written: false,
    current: { value: { reason: "two" } },
  });
  expect(await bucket.delete("u", revision)).toBe(false);
  expect((await bucket.get("u"))?.value.reason).toBe("two");
});

test("keys and entries are those below a prefix", async () => {
  for (const key of ["p.shop.orders", "p.shop.graph", "p.blog.posts"]) await bucket.put(key, value(key));
  await bucket.put("p.shop.gone", value("gone"));
  await bucket.delete("p.shop.gone");
  expect(await bucket.keys("p.shop.*")).toEqual(["p.shop.graph", "p.shop.orders"]);
  expect((await bucket.entries("p.>")).map(({ key }) => key).toSorted()).toEqual([
    "p.blog.posts",
    "p.shop.graph",
    "p.shop.orders",
  ]);
  expect(await bucket.keys("nothing.>")).toEqual([]);
});

test("a value that the contract does not allow is not written", async () => {
  await expect(bucket.put("bad", { at: "yesterday", reason: "x" })).rejects.toMatchObject({
    code: "INTERNAL",
    where: "at",
  });
  expect(await bucket.get("bad")).toBeUndefined();
});

test("a foreign value is an error to a reader and a change like others to a watcher, who goes on", async () => {
  const connection = await testConnection(nats.server);
  await connection.js.publish("$KV.cancellations.f.foreign", '{"at":5}');
  await connection.nc.close();
  await bucket.put("f.good", value("good"));
  await expect(bucket.get("f.foreign")).rejects.toMatchObject({
    code: "FORMAT_UNKNOWN",
    where: "cancellations/f.foreign",
  });
  const seen: string[] = [];
  const ended = new AbortController();
  for await (const change of bucket.watch("f.*", ended.signal)) {
    if (change.type === "current") ended.abort();
    else seen.push(`${change.type} ${change.key}`);
  }
  expect(seen).toEqual(["invalid f.foreign", "put f.good"]);
});

test("a watcher sees what is there, then each change, also those made around a restart of the server", async () => {
  await using own = await testNats();
  await using watcher = await testBus(own.server);
  await using writer = await testBus(own.server);
  const watched = await watcher.bucket(BUCKETS.cancellations);
  const written = await writer.bucket(BUCKETS.cancellations);
  await written.put("w.1", value("one"));
  const ended = new AbortController();
  const seen: string[] = [];
  const watching = (async () => {
    for await (const change of watched.watch("w.*", ended.signal)) {
      seen.push(change.type === "put" ? `${change.key} ${change.value.reason}` : change.type);
    }
  })();
  await until("current", () => seen.includes("current"));
  await written.put("w.2", value("two"));
  await own.server.kill();
  await own.server.restart();
  await written.put("w.1", value("again"));
  await written.delete("w.2");
  await until("all seen", () => seen.length >= 5);
  ended.abort();
  await watching;
  expect(seen).toEqual(["w.1 one", "current", "w.2 two", "w.1 again", "deleted"]);
});
