import { once } from "node:events";
import { readdir } from "node:fs/promises";
import { type AddressInfo, createServer } from "node:net";
import { join } from "node:path";
import { rehearsalStarted } from "@stillpoint/contracts/events";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { followProof } from "../src/follow.ts";
import { quietBoard, startTestSystem, type TestSystem } from "./system-fixture.ts";

describe("a proof, where sandboxes run in the open", () => {
  let test: TestSystem;
  /** Something outside of every sandbox that answers. */
  const outside = createServer((socket) => socket.end());
  beforeAll(async () => {
    outside.listen(0, "127.0.0.1");
    await once(outside, "listening");
    const { port } = outside.address() as AddressInfo;
    test = await startTestSystem({
      isolate: true,
      validate: true,
      leaseTtlMs: 4_000,
      environment: { STILLPOINT_OPEN_SANDBOXES: "true", STILLPOINT_EGRESS_PROBES: `127.0.0.1:${port}` },
    });
  });
  afterAll(async () => {
    await test[Symbol.asyncDispose]();
    outside.close();
  });

  it("is inconclusive, and names what was reached, although every check passes", async () => {
    const { bus } = test;
    const after = await bus.lastEventSequence();
    const { pointId } = await test.backUp();
    const proof = await followProof(bus, { pointId }, after, quietBoard(), AbortSignal.timeout(100_000));
    expect(proof.verdict).toBe("inconclusive");
    expect(proof.reasons).toEqual([
      expect.stringMatching(/reached 127\.0\.0\.1/),
      expect.stringMatching(/reached 127\.0\.0\.1/),
    ]);
    expect(proof.checks.length).toBeGreaterThan(8);
  });

  it("comes in the end although an agent is killed in the middle of its rehearsal, and leaves nothing behind", async () => {
    const { bus } = test;
    const after = await bus.lastEventSequence();
    const { pointId } = await test.backUp();
    const proven = followProof(bus, { pointId }, after, quietBoard(), AbortSignal.timeout(100_000));
    const stop = new AbortController();
    for await (const fact of bus.followEvents([rehearsalStarted], { after, signal: stop.signal })) {
      if (fact.type !== rehearsalStarted.subject || fact.body.source !== "sessions") continue;
      await test.process("agent-sqlite").kill();
      break;
    }
    stop.abort();
    await test.process("agent-sqlite").restart();
    const proof = await proven;
    expect(proof.checks.filter(({ verdict }) => verdict === "fail")).toEqual([]);
    expect(proof.checks.find(({ name }) => name === "sessions: restores and starts")?.verdict).toBe("pass");
    await waitFor("nothing is left", async () => {
      const left = await readdir(join(test.world.home, "agents", "agent-sqlite"));
      return left.every((name) => !name.startsWith("rehearsal"));
    });
  });
});
