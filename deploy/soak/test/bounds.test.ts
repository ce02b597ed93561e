import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { World } from "@stillpoint/cli/world";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { PROCESS_ENVIRONMENT } from "@stillpoint/testkit/process-environment";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { bounds } from "../src/bounds.ts";
import { withDenyingHook, withDisabledHook, withHastyHook } from "../src/broken-hooks.ts";
import { boundsLine } from "../src/lines.ts";
import { type SoakedSystem, startSoakedSystem } from "../src/soaked-system.ts";

const NOT_QUIET = "the application says that it did not stay quiet until the release";
const SEED = Number(process.env.STILLPOINT_TEST_SEED ?? Date.now() % 1_000_000);

describe(`points over five stores that are written to throughout (STILLPOINT_TEST_SEED=${SEED})`, () => {
  const resources = new AsyncDisposableStack();
  let soaked: SoakedSystem;
  beforeAll(async () => {
    const { path } = resources.use(await temporaryDirectory("bounds"));
    const load = { writers: 4, writesPerSecond: 20 };
    soaked = resources.use(await startSoakedSystem(worldIn(path), { scale: 0.01, load, leaseTtlMs: 4_000 }));
  });
  afterAll(() => resources.disposeAsync());

  it("hold in each store everything that was acknowledged before their fence and nothing written after it, also where a service was killed in the middle", async () => {
    const lines: string[] = [];
    const rounds = await bounds(soaked, {
      // One undisturbed, one with a kill; the soak takes as many as it is told to.
      rounds: 2,
      seed: SEED,
      plan: "all",
      told: (round) => lines.push(boundsLine(round)),
    });
    expect(
      rounds.flatMap(({ violations }) => violations),
      lines.join("\n"),
    ).toEqual([]);
    expect(rounds.map(({ point }) => point?.sources.map(({ kind }) => kind).sort())).toEqual(
      rounds.map(() => ["files", "neo4j", "postgres", "qdrant", "sqlite"]),
    );
  }, 600_000);

  it("do not hold that where the application confirms its fence and goes on writing: the proof finds it", async () => {
    expect(await withDisabledHook(soaked)).not.toEqual([]);
  }, 300_000);

  it("are fuzzy where the application says that it did not stay quiet", async () => {
    expect((await withDenyingHook(soaked)).cut).toMatchObject({
      consistency: "fuzzy",
      heldThroughout: false,
      reasons: expect.arrayContaining([NOT_QUIET]),
    });
  }, 300_000);

  it("are fuzzy where the fence expired before it was released", async () => {
    expect((await withHastyHook(soaked)).cut).toMatchObject({
      consistency: "fuzzy",
      heldThroughout: false,
      reasons: expect.arrayContaining([NOT_QUIET]),
    });
  }, 300_000);
});

function worldIn(directory: string): World {
  const quiet = () => undefined;
  return {
    environment: { ...PROCESS_ENVIRONMENT, HOME: directory },
    home: join(directory, "home"),
    partsDirectory: PARTS_DIRECTORY,
    clock: { now: Date.now, monotonicMs: () => performance.now() },
    random: randomBytes,
    isTerminal: false,
    columns: 100,
    out: quiet,
    error: quiet,
    errorLine: quiet,
    person: { isThere: false, line: async () => undefined, hiddenLine: async () => undefined },
    signal: new AbortController().signal,
  };
}
