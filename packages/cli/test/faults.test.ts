import { once } from "node:events";
import { mkdir, rename, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { json } from "node:stream/consumers";
import { runBackup } from "@stillpoint/contracts/commands";
import { captureOpened, pointSealed, progress, runFailed, runFinished, runStarted } from "@stillpoint/contracts/events";
import { requestBackup } from "@stillpoint/contracts/people";
import { queryPoints } from "@stillpoint/contracts/queries";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { followRun } from "../src/follow.ts";
import { PLAN, quietBoard, runCommand, startTestSystem, type TestSystem } from "./system-fixture.ts";

const REQUEST = { timeoutMs: 10_000, patienceMs: 30_000 };

/** A Slack-compatible channel on loopback. */
async function startChannel() {
  const messages: string[] = [];
  const server = createServer((request, response) => {
    json(request).then(
      (body) => {
        messages.push(JSON.stringify(body));
        response.end("ok");
      },
      () => response.writeHead(400).end(),
    );
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { messages, url: `http://127.0.0.1:${port}/hook`, server };
}

describe("when things break", () => {
  let test: TestSystem;
  let channel: Awaited<ReturnType<typeof startChannel>>;
  /** A directory that two plans capture beside the sample, and that goes away. */
  let extra: string;

  beforeAll(async () => {
    channel = await startChannel();
    test = await startTestSystem({
      isolate: false,
      validate: false,
      environment: { STILLPOINT_ALERTING_POLL_MS: "50", STILLPOINT_OPEN_TIMEOUT_MS: "20000" },
      planFile: (plan, directory) => {
        extra = join(directory, "extra");
        const sources = { ...plan.sources, extra: { kind: "files", paths: [extra] } };
        return {
          plans: {
            [PLAN]: plan,
            strict: { ...plan, sources },
            lenient: { ...plan, sources, optional: ["extra"] },
          },
          alerts: [{ slack: channel.url, from: "warning" }],
        };
      },
    });
    await mkdir(extra);
    await writeFile(join(extra, "a"), "a");
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    channel.server.close();
  });

  const pointsOf = async (plan: string) => (await test.bus.request(queryPoints, {}, { plan }, REQUEST)).points;
  const without = async <Result>(run: () => Promise<Result>): Promise<Result> => {
    await rename(extra, `${extra}-away`);
    try {
      return await run();
    } finally {
      await rename(`${extra}-away`, extra);
    }
  };

  it("a source that is down when it is opened: no point, the reason, an alert, and its end with the next success", async () => {
    await expect(without(() => test.backUp("strict"))).rejects.toMatchObject({
      code: "SOURCE_UNREACHABLE",
      where: expect.stringContaining("extra"),
    });
    expect(await pointsOf("strict")).toEqual([]);
    await waitFor("the alert came", () =>
      channel.messages.some((message) => message.includes("strict") && message.includes("extra")),
    );
    const told = channel.messages.length;
    await test.backUp("strict");
    await waitFor("its end was told", () => channel.messages.slice(told).some((message) => message.includes("strict")));
  });

  it("the same source where the plan can do without it: a partial point, marked so, never the newest whole one", async () => {
    const whole = await test.backUp("lenient");
    expect(whole.partial).toBe(false);
    const partial = await without(() => test.backUp("lenient"));
    expect(partial).toMatchObject({
      partial: true,
      skipped: [{ source: "extra", reason: expect.stringMatching(/SOURCE_UNREACHABLE/) }],
    });
    expect(partial.sources.map(({ source }) => source).sort()).toEqual(["sessions", "uploads"]);
    const said = await without(() => runCommand(test, ["backup", "lenient", "--json"]));
    expect(said).toMatchObject({ code: 3, err: expect.stringMatching(/extra: SOURCE_UNREACHABLE/) });
    expect(JSON.parse(said.out)).toMatchObject({ point: { partial: true } });
    const shown = await waitFor("the catalog shows it", async () => {
      const points = await pointsOf("lenient");
      return points.length === 3 && points;
    });
    expect(shown.map(({ point }) => point.partial)).toEqual([true, true, false]);
    expect(shown[1]?.point.pointId).toBe(partial.pointId);
  });

  it.each([
    ["strict", "no point"],
    ["lenient", "a partial point"],
  ])("a source that is lost between its base and the cut, plan %s: %s", async (plan, outcome) => {
    const before = (await pointsOf(plan)).length;
    // Gone as soon as its base is stored, before the cut can reach it.
    const stored = Promise.withResolvers<void>();
    await using _heard = await test.bus.hearSignals(progress, {}, ({ body }) => {
      if (body.source === "extra" && body.step === "base" && body.storedBytes !== undefined) {
        rename(extra, `${extra}-away`).then(stored.resolve, stored.reject);
      }
    });
    try {
      const run = test.backUp(plan);
      if (outcome === "no point") {
        await expect(run).rejects.toMatchObject({ where: expect.stringContaining("extra") });
        expect(await pointsOf(plan)).toHaveLength(before);
      } else expect((await run).skipped).toMatchObject([{ source: "extra" }]);
      await stored.promise;
    } finally {
      await rename(`${extra}-away`, extra);
    }
    expect(test.sample.status().fence).toBeNull();
  });

  it("a command that is delivered twice makes one point", async () => {
    const { bus } = test;
    const first = await test.backUp();
    const plan = await (await bus.bucket(BUCKETS.plans)).get(PLAN);
    const after = await bus.lastEventSequence();
    const again = {
      runId: first.runId,
      plan: PLAN,
      revision: plan?.value.revision ?? "",
      requestedBy: "person" as const,
    };
    await bus.publishCommand(runBackup, { plan: PLAN }, again, { messageId: `again-${first.runId}` });
    await waitFor("it was taken", async () => (await bus.readCommand(runBackup, { plan: PLAN })) === undefined);
    // Other facts may come meanwhile: a shipper that begins, a source that is as usual.
    const told: string[] = [];
    for await (const fact of bus.followEvents([runStarted, runFinished, runFailed, pointSealed], {
      after,
      signal: AbortSignal.timeout(60_000),
    })) {
      if (fact.type === "current") break;
      told.push(fact.type);
    }
    expect(told).toEqual([]);
    expect((await pointsOf(PLAN)).filter(({ point }) => point.runId === first.runId)).toHaveLength(1);
  });

  it("a plan that is running is not run beside itself", async () => {
    const { bus } = test;
    const after = await bus.lastEventSequence();
    const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, REQUEST);
    await expect(bus.request(requestBackup, {}, { plan: PLAN }, REQUEST)).rejects.toMatchObject({
      code: "ALREADY_RUNNING",
      where: expect.stringContaining(runId),
    });
    await followRun(bus, runId, after, quietBoard(), AbortSignal.timeout(60_000));
  });

  it("a NATS server that restarts in the middle of a run: the run ends, and its fence is open", async () => {
    const { bus } = test;
    const after = await bus.lastEventSequence();
    const { runId } = await bus.request(requestBackup, {}, { plan: PLAN }, REQUEST);
    const stop = new AbortController();
    let restarted: Promise<void> | undefined;
    let ended: string | undefined;
    for await (const fact of bus.followEvents([captureOpened, runFinished, runFailed], {
      after,
      signal: stop.signal,
    })) {
      if (fact.type === "current") continue;
      if (fact.type === captureOpened.subject) restarted ??= test.system.broker.restart();
      else if (fact.body.runId === runId) ended = fact.type;
      if (ended !== undefined) break;
    }
    stop.abort();
    await restarted;
    expect([runFinished.subject, runFailed.subject]).toContain(ended);
    await waitFor("the fence is open", () => test.sample.status().fence === null);
    expect((await test.backUp()).cut.consistency).toBe("fenced");
  });

  it("bare JSON that fails its schema, and an unknown plan, are answered with the field and the name", async () => {
    const { bus } = test;
    const subject = "stillpoint.v1.request.backup";
    expect(await bus.requestJson(subject, { plan: 7 }, REQUEST.patienceMs)).toMatchObject({
      error: { code: "INVALID_REQUEST", where: expect.stringContaining("plan") },
    });
    expect(await bus.requestJson(subject, { plan: "shoop" }, REQUEST.patienceMs)).toMatchObject({
      error: { code: "PLAN_UNKNOWN", where: expect.stringContaining("shoop") },
    });
    expect(await bus.requestJson(subject, { plan: PLAN }, REQUEST.patienceMs)).toEqual({ runId: expect.any(String) });
  });
});
