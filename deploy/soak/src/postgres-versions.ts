import { spawn } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { World } from "@stillpoint/cli/world";
import { POSTGRES_MAJORS } from "@stillpoint/parts/postgres-versions";

const ROOT = fileURLToPath(new URL("../../..", import.meta.url));
const TESTS = "packages/driver-postgres/test/";
/** The server of version 13 that can be had comes without client programs, which the other tests check with. */
const TESTS_OF_13 = `${TESTS}versions.test.ts`;

/** The driver's own tests on a real server of each version, one version after the other. */
export async function soakPostgresVersions(world: World, args: readonly string[]): Promise<string[]> {
  const majors = args.length === 0 ? POSTGRES_MAJORS.map(String) : args;
  const violations: string[] = [];
  for (const major of majors) {
    world.out(`PostgreSQL ${major}\n`);
    const vitest = ["node_modules/vitest/vitest.mjs", "run", major === "13" ? TESTS_OF_13 : TESTS];
    const child = spawn(process.execPath, vitest, {
      cwd: ROOT,
      env: { ...world.environment, STILLPOINT_TEST_POSTGRES: major },
      stdio: "inherit",
      signal: world.signal,
    });
    const [code] = await once(child, "exit");
    if (code !== 0) violations.push(`PostgreSQL ${major}: its tests failed`);
  }
  return violations;
}
