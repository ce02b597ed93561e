import { worldIn } from "@stillpoint/bench/ship/shipped-system";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { shipKills } from "../src/ship/kills.ts";
import { KILLED_SYSTEM } from "../src/ship/ship-kill.ts";
import { startWrittenSystem } from "../src/ship/written-system.ts";

const SEED = Number(process.env.STILLPOINT_TEST_SEED ?? Date.now() % 1_000_000);

it(`logs that are shipped while stores, agents, vault and NATS are killed have no hole that is not recorded, and give back all that was held (STILLPOINT_TEST_SEED=${SEED})`, async () => {
  await using directory = await temporaryDirectory("ship-kill");
  const world = worldIn(directory.path, PARTS_DIRECTORY, new AbortController().signal);
  await using written = await startWrittenSystem(world, {
    ...KILLED_SYSTEM,
    isolate: false,
    environment: { ...KILLED_SYSTEM.environment, STILLPOINT_LEASE_TTL_MS: "2000" },
  });
  const lines: string[] = [];
  // Two together, then another two; the soak kills each, one by one, for as many rounds as it is told to.
  const violations = await shipKills(written, {
    rounds: 2,
    atOnce: 2,
    seed: SEED,
    told: (line) => lines.push(line),
  });
  expect(violations, lines.join("\n")).toEqual([]);
}, 300_000);
