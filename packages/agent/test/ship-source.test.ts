import { readFile, stat, writeFile } from "node:fs/promises";
import { setTimeout as wait } from "node:timers/promises";
import { shipSource } from "@stillpoint/contracts/commands";
import { logGapped, logShipped, shippingFailed, shippingStarted, shippingStopped } from "@stillpoint/contracts/events";
import { flushLog } from "@stillpoint/contracts/flush";
import type { Event } from "@stillpoint/contracts/messages";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import type { z } from "zod";
import { letGoOf, SEGMENT_BYTES } from "./fixtures/growing-log.ts";
import {
  type GrowingLog,
  growingLog,
  type LogInstallation,
  logInstallation,
  type Piece,
  SOURCE,
} from "./fixtures/log-installation.ts";

const FAST = { flush: "100ms", retain: "4GiB" };
/** Nothing is flushed before somebody says so. */
const RARE = { flush: "1h", retain: "4GiB" };

let installation: LogInstallation;
beforeAll(async () => {
  installation = await logInstallation();
});
afterAll(() => installation[Symbol.asyncDispose]());

/** All that was written is held, in pieces that neither overlap nor leave a hole. */
async function untilHeld(log: GrowingLog, stream?: string): Promise<Piece[]> {
  const written = log.written();
  const held = await waitFor("the newest byte is held", async () => {
    const found = await log.held(stream);
    return found.bytes.length >= written.length ? found : undefined;
  });
  expect(held.bytes.equals(written)).toBe(true);
  const joints = held.pieces.slice(1).map(({ from }, at) => from - (held.pieces[at]?.to ?? 0));
  expect(joints.every((distance) => distance === 0)).toBe(true);
  return held.pieces;
}

/** Of this log. */
async function told<Definition extends Event>({ plan }: GrowingLog, event: Definition) {
  const facts: z.output<Definition["body"]>[] = [];
  const options = { parameters: { plan }, signal: AbortSignal.timeout(60_000) };
  for await (const fact of installation.bus.followEvents<Event>([event], options)) {
    if (!("body" in fact)) break;
    facts.push(fact.body as z.output<Definition["body"]>); // one definition was asked for, so that this is its body
  }
  return facts;
}

const untilShipped = (log: GrowingLog, times = 1) =>
  waitFor(`${log.plan} is shipped`, async () => {
    const starts = await told(log, shippingStarted);
    return starts.length === times ? starts : undefined;
  });

test("a log is shipped to its newest byte, closed stretches and what is open, and how far it is shows in metrics and signals", async () => {
  await using log = await growingLog(installation, "newest");
  const heard: string[] = [];
  await using _hearing = await installation.bus.hearSignals(logShipped, {}, ({ body }) => heard.push(body.held.at));
  await log.grow(2 * SEGMENT_BYTES + 100);
  await log.accept(FAST);
  await log.ask();
  await using agent = await installation.agent();
  await untilHeld(log);
  await log.grow(50);
  await untilHeld(log);
  await log.grow(SEGMENT_BYTES);
  const pieces = await untilHeld(log);
  expect(pieces.filter(({ form }) => form === "closed").map(({ from }) => from / SEGMENT_BYTES)).toEqual([0, 1, 2]);
  await waitFor("it is told how far it is", () => heard.includes(String(log.written().length).padStart(16, "0")));
  const metrics = await agent.metrics();
  const labels = `{plan="newest",source="${SOURCE}"}`;
  expect(metrics).toContain(`stillpoint_log_lag_bytes${labels} 0`);
  expect(metrics).toContain(`stillpoint_log_lag_seconds${labels} 0`);
  expect(metrics).toMatch(/stillpoint_log_last_flush_timestamp_seconds\{[^}]+\} \d{10}/);
  expect(await told(log, shippingStarted)).toMatchObject([{ plan: "newest", source: SOURCE, kind: "sqlite" }]);
});

test("a killed shipper is followed by another, which goes on without a hole and without a double", async () => {
  await using log = await growingLog(installation, "killed");
  await log.accept(FAST);
  await log.ask();
  await using first = await installation.agentProcess();
  let isWriting = true;
  const writing = (async () => {
    for (; isWriting; await wait(50)) await log.grow(300);
  })();
  await waitFor("the first has shipped", async () => (await log.held()).bytes.length > SEGMENT_BYTES);
  await first.kill();
  await using _second = await installation.agent();
  const [before, after] = await untilShipped(log, 2);
  isWriting = false;
  await writing;
  await untilHeld(log);
  expect(after?.fenceToken).toBeGreaterThan(before?.fenceToken ?? 0);
});

test("a stop flushes what is there and gives the command back; a plan that changes flushes and goes on by the new one", async () => {
  await using log = await growingLog(installation, "changed");
  await log.accept(RARE);
  await log.ask();
  {
    await using _agent = await installation.agent();
    await untilShipped(log);
    await log.grow(300);
    expect((await log.held()).bytes.length).toBe(0);
  }
  expect((await untilHeld(log)).length).toBe(1);
  expect(await log.asked()).toBeDefined();
  await log.grow(400);
  await using _agent = await installation.agent();
  await untilHeld(log);
  await log.grow(500);
  await log.accept({ ...RARE, flush: "59m" });
  await untilHeld(log);
  await log.accept(FAST);
  for (const bytes of [10, 20]) {
    await log.grow(bytes);
    await untilHeld(log);
  }
  expect(await told(log, shippingFailed)).toEqual([]);
  expect(await told(log, shippingStopped)).toEqual([]);
  await expect(stat(letGoOf(log.path))).rejects.toMatchObject({ code: "ENOENT" });
});

test("what is asked for is held though no flush is due for an hour; asked again, and of the next shipper, it is too", async () => {
  await using log = await growingLog(installation, "asked-for");
  const flush = () =>
    installation.bus.request(
      flushLog,
      { plan: log.plan, source: SOURCE },
      {},
      { timeoutMs: 5_000, patienceMs: 20_000 },
    );
  await log.accept(RARE);
  await log.ask();
  {
    await using _agent = await installation.agent();
    await untilShipped(log);
    for (const bytes of [300, 200]) {
      await log.grow(bytes);
      expect((await log.held()).bytes.length).toBeLessThan(log.written().length);
      for (let again = 0; again < 3; again += 1) expect(await flush()).toEqual({ asked: true });
      await untilHeld(log);
    }
  }
  await using _agent = await installation.agent();
  await untilShipped(log, 2);
  await log.grow(SEGMENT_BYTES);
  await flush();
  await untilHeld(log);
  expect(await told(log, shippingFailed)).toEqual([]);
});

test.each([
  ["off", "wants no log", (log: GrowingLog) => log.accept("off")],
  ["gone", "does not have it", (log: GrowingLog) => log.accept(undefined)],
])(
  "a source whose shipping is %s: the rest is flushed, the source keeps nothing any more, and the command is done",
  async (name, why, change) => {
    await using log = await growingLog(installation, name);
    await log.accept(RARE);
    await log.ask();
    await using agent = await installation.agent();
    await untilShipped(log);
    await log.grow(300);
    await change(log);
    await waitFor("the command is done", async () => (await log.asked()) === undefined);
    expect((await log.held()).bytes.equals(log.written())).toBe(true);
    expect(await told(log, shippingStopped)).toMatchObject([{ why: expect.stringContaining(why) }]);
    expect(await readFile(letGoOf(log.path), "utf8")).toBe(`${name}.${SOURCE}`);
    expect(await agent.metrics()).not.toContain("stillpoint_log_lag_bytes{");
    // Wanted again, and asked for again: another shipper goes on.
    await log.accept(FAST);
    await log.ask();
    await log.grow(SEGMENT_BYTES);
    await untilHeld(log);
  },
);

test("a command that is offered twice is one shipper, and the other waits until the first is gone", async () => {
  await using log = await growingLog(installation, "twice");
  await log.accept(FAST);
  const asked = await log.ask();
  await using first = await installation.agent();
  await untilShipped(log);
  expect(await log.ask()).toMatchObject({ outcome: "duplicate" });
  // The same command is there twice, as after a crash of the server.
  if (asked.outcome !== "stored") throw new Error(asked.outcome);
  await installation.bus.deleteCommand(shipSource, asked.sequence);
  expect(await log.ask()).toMatchObject({ outcome: "stored" });
  await using _second = await installation.agent();
  await log.grow(SEGMENT_BYTES + 300);
  const pieces = await untilHeld(log);
  expect(new Set(pieces.flatMap(({ fenceToken }) => fenceToken ?? [])).size).toBe(1);
  expect((await told(log, shippingStarted)).length).toBe(1);
  await first[Symbol.asyncDispose]();
  await untilShipped(log, 2);
  await log.grow(300);
  await untilHeld(log);
});

test("a shipper whose lease is another's writes nothing more, and goes on under a new one when that is gone", async () => {
  await using log = await growingLog(installation, "lost");
  await log.accept(FAST);
  await log.ask();
  await using agent = await installation.agent();
  await log.grow(300);
  await untilHeld(log);
  const leases = await installation.bus.bucket(BUCKETS.leases);
  const key = `ship.${log.plan}.${SOURCE}`;
  await leases.put(key, { owner: "somebody-else", since: new Date().toISOString() });
  await waitFor("it has let go", async () => !(await agent.metrics()).includes("stillpoint_log_lag_bytes{"));
  await log.grow(300);
  await waitFor(
    "the lease of the other has run out",
    async () => (await leases.get(key))?.value.owner !== "somebody-else",
  );
  const [before, after] = await untilShipped(log, 2);
  await untilHeld(log);
  expect(after?.fenceToken).toBeGreaterThan(before?.fenceToken ?? 0);
  expect(await log.asked()).toBeDefined();
});

test("a source that cannot be read is told of and tried again, and its recovery is told too", async () => {
  await using log = await growingLog(installation, "unread");
  const later = `${log.path}.later`;
  await log.accept(FAST, later);
  await log.ask();
  await using agent = await installation.agent();
  const failures = await waitFor("it was tried twice", async () => {
    const found = await told(log, shippingFailed);
    return found.length >= 2 ? found : undefined;
  });
  expect(failures.slice(0, 2)).toMatchObject([
    { plan: "unread", source: SOURCE, attempt: 1, error: { code: "SOURCE_UNREACHABLE", where: later } },
    { attempt: 2 },
  ]);
  expect(failures[1]?.forMs, "since the first").toBeGreaterThan(failures[0]?.forMs ?? 0);
  expect(await agent.metrics()).toMatch(/stillpoint_shipping_failures_total\{.*code="SOURCE_UNREACHABLE"\} [2-9]/);
  await writeFile(later, "it is there");
  await untilShipped(log);
});

test("what a source lost is a record and an event, and its log is shipped from where it is there again", async () => {
  await using log = await growingLog(installation, "gap");
  await log.accept(FAST);
  await log.ask();
  await using _agent = await installation.agent();
  await log.grow(SEGMENT_BYTES + 300);
  await untilHeld(log);
  await log.lose(200);
  await untilHeld(log, "2");
  await using repository = await installation.repository();
  const { gaps } = await repository.sourceLog({ plan: log.plan, source: SOURCE });
  expect(gaps).toMatchObject([
    {
      plan: "gap",
      source: SOURCE,
      after: { stream: "1", at: String(SEGMENT_BYTES + 300).padStart(16, "0") },
      until: { stream: "2" },
      why: "the file became shorter",
    },
  ]);
  expect(await told(log, logGapped)).toEqual(gaps.map((gap) => ({ gap })));
});

test("while NATS is away nothing is lost, whoever has the lease when it is back", async () => {
  await using log = await growingLog(installation, "bus-away");
  await log.accept(FAST);
  await log.ask();
  await using _agent = await installation.agent();
  await log.grow(300);
  await untilHeld(log);
  await installation.nats.kill();
  await log.grow(SEGMENT_BYTES);
  await installation.nats.restart();
  await log.grow(SEGMENT_BYTES);
  await untilHeld(log);
});

test("while the vault is away the log waits at its source, and all of it is there once a vault is back", async () => {
  await using log = await growingLog(installation, "away");
  await log.accept(FAST);
  await log.ask();
  await using agent = await installation.agent();
  await log.grow(SEGMENT_BYTES + 300);
  await untilHeld(log);
  await installation.vault.kill();
  await log.grow(300);
  const failed = /stillpoint_shipping_failures_total\{[^}]*plan="away"[^}]*code="UNREACHABLE"/;
  await waitFor("it is refused", async () => failed.test(await agent.metrics()));
  await log.grow(3 * SEGMENT_BYTES);
  // On another port: a ticket names the vault that is gone.
  await installation.vault.restart();
  await untilHeld(log);
});
