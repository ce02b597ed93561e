import { existsSync } from "node:fs";
import { join } from "node:path";

/** Of packages/repository/src/node-flags.ts, which says why: restores run in the command line's own process. */
const BYTE_FLAGS = ["--initial-old-space-size=256", "--max-semi-space-size=2", "--no-flush-bytecode"];

// What each command runs, and with which arguments before the person's own.
const ENTRIES = {
  demo: { file: "deploy/demo/src/main.ts", before: ["demo"] },
  start: { file: "deploy/demo/src/main.ts", before: ["start"] },
  stillpoint: { file: "packages/cli/src/main.ts", before: [], flags: BYTE_FLAGS },
  test: { file: "deploy/test-run/src/main.ts", before: [] },
  bench: { file: "deploy/bench/src/main.ts", before: [] },
  soak: { file: "deploy/soak/src/main.ts", before: [] },
};

export const USAGE = `usage: npm run (${Object.keys(ENTRIES).join(" | ")}) -- [arguments]\n`;

/**
 * What to run for these arguments: undefined when they name no command. npm runs its scripts in the checkout; paths
 * that a person gives are relative to where that person is, which npm tells in INIT_CWD.
 */
export function commandLine(checkout, argv, env, here) {
  const [command, ...rest] = argv;
  if (command === undefined || !Object.hasOwn(ENTRIES, command)) return undefined;
  const { file, before, flags = [] } = ENTRIES[command];
  const entry = join(checkout, file);
  if (!existsSync(entry)) throw new Error(`${command} is not part of this checkout: ${file} is missing`);
  return { flags, entry, args: [...before, ...rest], cwd: env.INIT_CWD ?? here };
}
