import { planAccepted, planRejected } from "@stillpoint/contracts/events";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { call, place, planText } from "./gateway.ts";

async function factsOf(gateway: Awaited<ReturnType<typeof place>>, count: number) {
  const facts: { type: string; plan: string }[] = [];
  const enough = new AbortController();
  for await (const fact of gateway.bus.followEvents([planAccepted, planRejected], { signal: enough.signal })) {
    if (fact.type === "current") continue;
    facts.push({ type: fact.type, plan: fact.body.plan });
    if (facts.length === count) break;
  }
  enough.abort();
  return facts.map(({ type, plan }) => `${plan} ${type.split(".").at(-1)}`);
}

test("a plan comes in force, is changed, and goes with the file; every revision stays to be found", async () => {
  await using gateway = await place();
  await gateway.start();
  const plans = await gateway.bus.bucket(BUCKETS.plans);
  const revisions = await gateway.bus.bucket(BUCKETS.revisions);
  const first = (await plans.get("shop"))?.value.revision;
  expect((await plans.get("shop"))?.value.definition.sources.sessions).toMatchObject({ kind: "sqlite", at: "site-b" });

  await gateway.write(planText({ shop: "6m", farm: "5m" }));
  await waitFor("the second plan is in force", () => plans.get("farm"));
  const second = (await plans.get("shop"))?.value.revision;
  expect(second).not.toBe(first);
  expect(await revisions.keys()).toEqual(expect.arrayContaining([`shop.${first}`, `shop.${second}`]));

  await gateway.write(planText({ farm: "5m" }));
  await waitFor("the first is gone", async () => (await plans.keys()).join() === "farm");
  expect(await revisions.get(`shop.${second}`)).toBeDefined();
  expect(await factsOf(gateway, 3)).toEqual(["shop accepted", "shop accepted", "farm accepted"]);
});

test("a bad new file leaves what was in force, says why with line and field, and its correction is told", async () => {
  await using gateway = await place();
  const { url } = await gateway.start();
  const plans = await gateway.bus.bucket(BUCKETS.plans);
  const before = await plans.get("shop");
  await gateway.write(planText({ shop: "1m" }));
  const rejected = await waitFor("it is rejected", async () => {
    const { body } = await call(url, "/api/v1/health");
    return (body.planFile as { state: string; error?: { where: string; why: string } }).error;
  });
  expect(rejected.where).toMatch(/line 7, column 15, plans\.shop\.schedule$/);
  expect(rejected.why).toContain("longer than the RPO of 1m");
  expect((await call(url, "/api/v1/health")).body.status).toBe("degraded");
  expect(await plans.get("shop")).toEqual(before);

  await gateway.write(planText());
  await waitFor("it is accepted", async () => {
    const { body } = await call(url, "/api/v1/health");
    return (body.planFile as { state: string }).state === "accepted";
  });
  expect(await factsOf(gateway, 3)).toEqual(["shop accepted", "shop rejected", "shop accepted"]);
});

test("a restart, and a second gateway, tell nothing twice; a file that is bad from the start stops nobody", async () => {
  await using gateway = await place();
  const first = await gateway.start();
  await gateway.start();
  await first[Symbol.asyncDispose]();
  await gateway.write("plans: [");
  const { url } = await gateway.start();
  const plans = await call(url, "/api/v1/plans");
  expect(plans.body).toMatchObject({ plans: [{ plan: "shop", schedule: ["every-5m"], rpoMs: 300_000 }] });
  expect(await factsOf(gateway, 2)).toEqual(["shop accepted", "plan-file rejected"]);
});
