import { planAccepted } from "@stillpoint/contracts/events";
import { expect, test } from "vitest";
import { followed } from "../src/follow.ts";
import { testBus, testConnection, testNats } from "./fixture.ts";

test("a follower whose last pending message is removed before it comes is current all the same", async () => {
  await using nats = await testNats();
  await using bus = await testBus(nats.server);
  const connection = await testConnection(nats.server);
  const at = "2026-01-02T03:04:05.006Z";
  await bus.publishEvent(planAccepted, { plan: "shop" }, { plan: "shop", revision: "b".repeat(64), at });
  // Removed exactly between the counting of what is pending and its delivery.
  const { consumers } = connection.js;
  const get: typeof consumers.get = async (...given) => {
    const consumer = await consumers.get(...given);
    expect((await consumer.info(true)).num_pending).toBe(1);
    await connection.jsm.streams.purge("EVT");
    return consumer;
  };
  const raced = { ...connection, js: { ...connection.js, consumers: { ...consumers, get } } };
  const options = {
    stream: "EVT",
    filters: [">"],
    start: { from: "first" } as const,
    signal: AbortSignal.timeout(90_000),
  };
  const seen: string[] = [];
  for await (const step of followed(raced, options)) {
    seen.push(step.type);
    if (step.type === "current") break;
  }
  expect(seen).toEqual(["current"]);
  expect(await connection.jsm.consumers.list("EVT").next()).toEqual([]);
  await connection.nc.close();
});
