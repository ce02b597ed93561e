import { randomUUID } from "node:crypto";
import { chmod, mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { mark as markSchema, runtime as runtimeSchema } from "@stillpoint/contracts/point";
import { storeCheckRow } from "@stillpoint/contracts/query";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Capture, Driver, DriverContext } from "../src/driver.ts";
import { extractTar, listTar } from "../src/extract.ts";
import { applyLayout, treeFiles } from "../src/layout.ts";
import { createTarWriter } from "../src/tar-writer.ts";
import type { TreeWriter } from "../src/tree.ts";

/** A running source that the suite may write to, and how it is looked at. */
export type ConformanceSubject<Spec extends SourceSpec> = AsyncDisposable & {
  driver: Driver<Spec>;
  source: Spec;
  /** Like `source`, but nothing answers there. */
  unreachable: Spec;
  /** What the driver is given; a directory of its own is there. */
  context: (directory: string, signal: AbortSignal) => DriverContext;
  /** One write that the source has acknowledged when it resolves; `sequence` grows by one from 1. */
  write: (sequence: number) => Promise<void>;
  /** Where a query of type `max` finds the highest sequence. */
  highest: string;
  /** What a capture holds in the source and must let go: slots, open transactions, snapshots. Listed by name. */
  traces: () => Promise<string[]>;
  /** Whether marks of a quiet source are exact; else they are expected to say that they are fuzzy. Default true. */
  exact?: boolean;
  /** What the mark fixed is a stream that can be read only once: a second finish voids the cut. Default false. */
  readOnce?: boolean;
};

/**
 * What every driver must do, on a real server. One capture goes through everything that a run can ask of it, and one
 * sandbox is started on the result, for starts are dear.
 */
export function driverConformance<Spec extends SourceSpec>(
  name: string,
  prepare: () => Promise<ConformanceSubject<Spec>>,
): void {
  describe(`${name}: the driver`, () => {
    let subject: ConformanceSubject<Spec>;
    let root: string;
    const never = new AbortController().signal;
    const resources = new AsyncDisposableStack();
    beforeAll(async () => {
      root = await mkdtemp(join(tmpdir(), "sp-conformance-"));
      resources.defer(async () => await rm(root, { recursive: true, force: true }));
      // Servers run as another account and pass through here.
      await chmod(root, 0o711);
      subject = resources.use(await prepare());
    });
    afterAll(async () => await resources.disposeAsync());

    const context = async (label: string, signal = never) => {
      const directory = join(root, label);
      await mkdir(directory, { mode: 0o700 });
      return subject.context(directory, signal);
    };

    test("captures a source while it is written, and a restore is exactly at the mark", async () => {
      const { driver, source } = subject;
      const before = await subject.traces();
      const capture = await driver.open(source, await context("capture"));
      const writer = startWriter(subject.write);
      try {
        await writer.reached(20);
        const { description } = capture;
        expect(runtimeSchema.parse(description.runtime)).toEqual(description.runtime);
        const tree = join(root, "restored");
        await mkdir(tree, { mode: 0o700 });
        if (description.base !== undefined) {
          expect(description.base).toBe("full");
          await discarded((into) => capture.base(into));
          await extracted(tree, (into) => capture.base(into));
        } else expect(description.finish).toBe("full");
        await writer.reached(40);

        const voided = await takeMark(capture, writer);
        await writer.reached(60);
        let { mark, acknowledged } = await takeMark(capture, writer);
        expect(mark.cutId).not.toBe(voided.mark.cutId);
        await writer.reached(80);
        await discarded((into) => capture.finish(into));
        if (subject.readOnce === true) {
          const again = discarded((into) => capture.finish(into));
          await expect(again).rejects.toMatchObject({ code: "CUT_VOID", retry: "backoff" });
          ({ mark, acknowledged } = await takeMark(capture, writer));
          await writer.reached(100);
        }
        await extracted(tree, (into) => capture.finish(into));
        await writer.stop();
        await capture[Symbol.asyncDispose]();
        expect(await subject.traces(), "the source is as it was").toEqual(before);
        expect(mark.fuzzy === undefined, mark.fuzzy).toBe(subject.exact ?? true);

        const files = await treeFiles(tree);
        const steps = driver.layout(files, mark);
        expect(driver.layout(files, mark), "layout is pure").toEqual(steps);
        await applyLayout(tree, steps);
        await applyLayout(tree, steps);

        const started = await context("sandbox");
        await using sandbox = await driver.start({ directory: tree, mark, runtime: description.runtime }, started);
        const checks = await Array.fromAsync(sandbox.query({ type: "store", id: "store" }));
        const parsed = checks.map((row) => storeCheckRow.parse(row));
        expect(parsed.length).toBeGreaterThan(0);
        expect(parsed.filter((row) => row.verdict !== "pass")).toEqual([]);
        const highest = await Array.fromAsync(sandbox.query({ type: "max", id: "highest", of: subject.highest }));
        if (mark.fuzzy === undefined) expect(highest).toEqual([{ max: acknowledged }]);
        const addresses = driver.addresses(source);
        for (const address of addresses) expect(address).toMatch(/^(unix:\/.+|\[?[^/\s]+\]?:\d+)$/);
        const probed = await sandbox.probeEgress(addresses);
        expect(probed.map(({ address, reached }) => ({ address, reached }))).toEqual(
          addresses.map((address) => ({ address, reached: false })),
        );
      } finally {
        await writer.stop();
        await capture[Symbol.asyncDispose]();
      }
    });

    test("a capture that is let go in the middle leaves nothing in the source", async () => {
      const before = await subject.traces();
      const stop = new AbortController();
      const capture = await subject.driver.open(subject.source, await context("aborted", stop.signal));
      const make = (into: TreeWriter) =>
        capture.description.base === undefined ? finishAtOnce(capture, into) : capture.base(into);
      const reached = Promise.withResolvers<void>();
      const under = make({
        async add() {
          reached.resolve();
          // Never goes on: an upload that hangs, until the capture is aborted.
          return await new Promise((_, reject) => {
            stop.signal.addEventListener("abort", () => reject(stop.signal.reason));
          });
        },
        covers: async () => undefined,
      });
      const failed = expect(under).rejects.toThrow();
      await reached.promise;
      stop.abort(new StillpointError("CANCELLED", { what: "The run was cancelled" }));
      await failed;
      await capture[Symbol.asyncDispose]();
      expect(await subject.traces()).toEqual(before);
    });

    test("a capture that nothing was asked of leaves nothing in the source", async () => {
      const before = await subject.traces();
      const capture = await subject.driver.open(subject.source, await context("unused"));
      await capture[Symbol.asyncDispose]();
      await capture[Symbol.asyncDispose]();
      expect(await subject.traces()).toEqual(before);
    });

    test("a source that does not answer is SOURCE_UNREACHABLE", async () => {
      const opened = subject.driver.open(subject.unreachable, await context("unreachable"));
      await expect(opened).rejects.toMatchObject({ code: "SOURCE_UNREACHABLE", retry: "backoff" });
    });

    test("a machine without the store's programs is told apart from one with them", async () => {
      const { driver } = subject;
      const tools = subject.context(root, never).tools;
      const [without, withTools] = await Promise.all([driver.runtimes({}, never), driver.runtimes(tools, never)]);
      expect(withTools.length).toBeGreaterThan(0);
      expect(withTools).toEqual(expect.arrayContaining(without));
    });
  });
}

async function finishAtOnce(capture: Capture, into: TreeWriter): Promise<void> {
  await capture.settle();
  await capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced: false });
  await capture.finish(into);
}

/** A mark as it arrives after the bus, and the highest sequence that was acknowledged while the writer was quiet. */
async function takeMark(capture: Capture, writer: Writer) {
  await capture.settle();
  const acknowledged = await writer.pause();
  const cutId = randomUUID();
  const taken = await capture.mark({ cutId, budgetMs: 60_000, fenced: true });
  writer.resume();
  expect(taken.cutId).toBe(cutId);
  return { mark: markSchema.parse(JSON.parse(JSON.stringify(taken))), acknowledged };
}

async function extracted(directory: string, make: (into: TreeWriter) => Promise<void>): Promise<void> {
  await throughTar(make, async (tar) => await extractTar(tar, directory));
}

async function discarded(make: (into: TreeWriter) => Promise<void>): Promise<void> {
  await throughTar(make, async (tar) => await listTar(tar));
}

async function throughTar(
  make: (into: TreeWriter) => Promise<void>,
  take: (tar: AsyncIterable<Uint8Array>) => Promise<unknown>,
): Promise<void> {
  const tar = createTarWriter();
  const made = make(tar).then(
    () => tar.end(),
    (error: unknown) => {
      tar.fail(error);
      throw error;
    },
  );
  // The maker's own error says more than what its reader made of it.
  const [making, taking] = await Promise.allSettled([made, take(tar.stream)]);
  for (const result of [making, taking]) if (result.status === "rejected") throw result.reason;
}

type Writer = ReturnType<typeof startWriter>;

function startWriter(write: (sequence: number) => Promise<void>) {
  let acknowledged = 0;
  let state: "running" | "paused" | "stopped" = "running";
  let failure: unknown;
  let quiet = Promise.resolve();
  const loop = async () => {
    while (state === "running") {
      await write(acknowledged + 1);
      acknowledged += 1;
      await turn();
    }
  };
  const run = () => {
    state = "running";
    quiet = loop().catch((error: unknown) => {
      failure = error;
    });
  };
  const settled = async () => {
    await quiet;
    if (failure !== undefined) throw failure;
  };
  run();
  return {
    async reached(sequence: number) {
      while (acknowledged < sequence) {
        if (failure !== undefined) throw failure;
        await turn();
      }
    },
    async pause(): Promise<number> {
      state = "paused";
      await settled();
      return acknowledged;
    },
    resume: run,
    async stop() {
      state = "stopped";
      await settled();
    },
  };
}
