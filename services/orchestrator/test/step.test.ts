import { StillpointError } from "@stillpoint/contracts/errors";
import { describe, expect, it } from "vitest";
import { type StepPorts, untilDone } from "../src/step.ts";

type Done = { backups: string[] };
type Answer = Awaited<ReturnType<StepPorts<Done>["ask"]>> | Error;

function ports(answers: Answer[], rest: Partial<StepPorts<Done>> = {}): StepPorts<Done> {
  let clock = 0;
  return {
    ask: async () => {
      const answer = answers.length > 1 ? answers.shift() : answers[0];
      if (answer instanceof Error || answer === undefined) throw answer ?? new Error("asked too often");
      return answer;
    },
    isAlive: async () => true,
    monotonicMs: () => ++clock,
    pollMs: 0,
    silenceMs: 50,
    signal: new AbortController().signal,
    ...rest,
  };
}

const unreachable = new StillpointError("UNREACHABLE", { what: "nobody answers" });
const done: Answer = { state: "done", backups: ["a"] };

describe("a step that is asked until it is done", () => {
  it("goes on while it works, and while a live session does not answer", async () => {
    const working: Answer = { state: "working", doing: "base", bytes: 1 };
    expect(await untilDone("orders", ports([working, unreachable, { ...working, bytes: 2 }, done]))).toMatchObject({
      backups: ["a"],
    });
  });
  it("is dead when its lease is gone, and not before", async () => {
    expect(await untilDone("orders", ports([unreachable], { isAlive: async () => false }))).toBe("died");
  });
  it("that failed because the vault was unreachable has failed: that is no silence", async () => {
    await expect(untilDone("orders", ports([{ state: "failed", error: unreachable.toBody() }]))).rejects.toMatchObject({
      code: "UNREACHABLE",
    });
  });
  it("that makes no progress is given up, with what it was doing", async () => {
    await expect(untilDone("orders", ports([{ state: "working", doing: "base", bytes: 7 }]))).rejects.toMatchObject({
      code: "TIMEOUT",
      why: expect.stringContaining("base 7"),
    });
  });
});
