import { StillpointError } from "@stillpoint/contracts/errors";
import type { BackupFigures, Mark } from "@stillpoint/contracts/point";
import type { Capture, Description } from "@stillpoint/driver/driver";
import { describe, expect, it } from "vitest";
import { captureSession, type SendBackup } from "../src/session.ts";

const vault = { vaultUrl: "http://127.0.0.1:1", ticket: "t" };
const [first, second] = ["01900000-0000-7000-8000-000000000001", "01900000-0000-7000-8000-000000000002"] as const;

type Changes = { base?: () => Promise<void>; finish?: () => Promise<void>; rests?: true };

function recorded(changes: Changes = {}) {
  const calls: string[] = [];
  const description: Description = {
    version: "1",
    runtime: { id: "none", version: "1", arch: "x64", extensions: [], settings: {} },
    hasLog: true,
    ...(changes.rests ? {} : { base: "full" as const }),
    finish: "log",
    notes: [],
  };
  const capture: Capture = {
    description,
    base: async () => {
      calls.push("base");
      await changes.base?.();
    },
    settle: async () => {
      calls.push("settle");
    },
    mark: async ({ cutId }): Promise<Mark> => {
      calls.push(`mark ${cutId}`);
      return { cutId, position: "1", detail: {}, notes: [] };
    },
    finish: async () => {
      calls.push("finish");
      await changes.finish?.();
    },
    [Symbol.asyncDispose]: async () => undefined,
  };
  const send: SendBackup = async (part, type, _vault, write) => {
    await write({ add: async () => ({ torn: false }), covers: async () => undefined });
    calls.push(`${part} stored`);
    return { backupId: part, type } as BackupFigures; // the session passes figures on and reads none of them
  };
  const baseMade = async () => calls.push("flush asked for");
  return { calls, session: captureSession(capture, send, { baseMade }) };
}

async function until<State extends { state: string }>(ask: () => State): Promise<State> {
  for (;;) {
    const state = ask();
    if (state.state !== "working") return state;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

const cut = (cutId: string, revision: number) => ({ cutId, revision, budgetMs: 100, fenced: true });

describe("a capture session", () => {
  it("makes one base however often it is asked, and settles once for each cut", async () => {
    const { calls, session } = recorded();
    await until(() => session.ready(vault, undefined));
    await until(() => session.ready(vault, undefined));
    await until(() => session.ready(vault, first));
    const done = await until(() => session.ready(vault, first));
    expect(done).toMatchObject({ state: "done", result: [{ backupId: "base" }] });
    await until(() => session.ready(vault, second));
    expect(calls).toEqual(["base", "base stored", "flush asked for", "settle", "settle"]);
  });

  it("marks once for a cut that is asked for twice, and again for the next cut on the same base", async () => {
    const { calls, session } = recorded();
    await until(() => session.ready(vault, first));
    const [one, again] = await Promise.all([session.cut(cut(first, 5)), session.cut(cut(first, 5))]);
    expect(again).toBe(one);
    await until(() => session.finish(first, vault));
    expect((await session.cut(cut(second, 6))).cutId).toBe(second);
    expect((await until(() => session.finish(second, vault))).state).toBe("done");
    const cuts = [first, second].flatMap((id) => [`mark ${id}`, "finish", "finish stored"]);
    expect(calls).toEqual(["base", "base stored", "flush asked for", "settle", ...cuts]);
  });

  it("has the log flushed behind a base of its own, that the next may rest on it, and not where it rests on another", async () => {
    const { calls, session } = recorded({ rests: true });
    await until(() => session.ready(vault, first));
    await session.cut(cut(first, 5));
    await until(() => session.finish(first, vault));
    expect(calls).toEqual(["settle", `mark ${first}`, "finish", "finish stored"]);
  });

  it("refuses a cut older than one it has seen, and a finish of a cut that was replaced", async () => {
    const { session } = recorded();
    await session.cut(cut(second, 6));
    await expect(session.cut(cut(first, 5))).rejects.toMatchObject({ code: "CONFLICT" });
    expect(() => session.finish(first, vault)).toThrow(/did not take/);
  });

  it("reports the driver's failure as the step's state, and does not run it again by itself", async () => {
    const { calls, session } = recorded({
      base: async () => {
        throw new StillpointError("SOURCE_LOST", { what: "The server went away" });
      },
    });
    expect(await until(() => session.ready(vault, undefined))).toMatchObject({
      state: "failed",
      error: { code: "SOURCE_LOST" },
    });
    session.ready(vault, first);
    expect(calls).toEqual(["base"]);
  });
});
