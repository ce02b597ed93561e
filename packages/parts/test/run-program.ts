import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

/** Runs a module, given as text, in a Node process of its own that sees this package's dependencies. */
export function runProgram(
  text: string,
  args: readonly string[],
): {
  child: ChildProcess;
  /** The first line it writes. */
  line: Promise<string>;
  /** Resolves when it ends well. */
  succeeded: Promise<void>;
} {
  const child = spawn(process.execPath, ["--input-type=module-typescript", "--eval", text, ...args], {
    cwd: fileURLToPath(new URL(".", import.meta.url)),
    stdio: ["ignore", "pipe", "inherit"],
  });
  const line = once(createInterface({ input: child.stdout }), "line").then(([first]) => String(first));
  const succeeded = once(child, "exit").then(([code, signal]) => {
    if (code !== 0) throw new Error(`the program ended with ${code ?? signal}`);
  });
  // A test waits for the one that concerns it.
  line.catch(() => undefined);
  succeeded.catch(() => undefined);
  return { child, line, succeeded };
}
