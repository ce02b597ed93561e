import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["packages/*/test/**/*.test.ts", "services/*/test/**/*.test.ts", "deploy/*/test/**/*.test.ts"],
    globalSetup: "packages/testkit/src/global-setup.ts",
    // These only end what hangs: a machine at a quarter of the speed passes too.
    testTimeout: 180_000,
    hookTimeout: 600_000,
    // What is waited for comes late on a busy machine; the limit only says what it was that never came.
    expect: { poll: { timeout: 30_000 } },
    teardownTimeout: 60_000,
    // Servers of stores are started by the tests: two cores bear two files at once.
    maxWorkers: 2,
    passWithNoTests: false,
  },
});
