import { defineConfig } from "vitest/config";
import { BaseSequencer, type TestSpecification } from "vitest/node";

/** Short files that take long: vitest starts the largest first, and these would run at the end, with nothing beside. */
const LONG_THOUGH_SHORT = ["bench/test/repository-area", "soak/test/ship-kill", "soak/test/million-files"];

class Longest extends BaseSequencer {
  override async sort(files: TestSpecification[]): Promise<TestSpecification[]> {
    const isLong = ({ moduleId }: TestSpecification) => LONG_THOUGH_SHORT.some((part) => moduleId.includes(part));
    const sorted = await super.sort(files);
    return [...sorted.filter(isLong), ...sorted.filter((file) => !isLong(file))];
  }
}

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "services/*/test/**/*.test.ts", "deploy/*/test/**/*.test.ts"],
    globalSetup: "packages/testkit/src/global-setup.ts",
    // These only end what hangs: a machine at a quarter of the speed passes too.
    testTimeout: 180_000,
    hookTimeout: 600_000,
    // What is waited for comes late on a busy machine; the limit only says what it was that never came.
    expect: { poll: { timeout: 90_000 } },
    teardownTimeout: 60_000,
    // Servers of stores are started by the tests: two cores bear two files at once.
    maxWorkers: 2,
    sequence: { sequencer: Longest },
    passWithNoTests: false,
  },
});
