import { spawn, spawnSync } from "node:child_process";

const FORWARDED = ["SIGINT", "SIGTERM", "SIGHUP"];
/** One Ctrl-C reaches us from the terminal and again from npm, at once; a person's second one comes later. */
const SAME_SIGNAL_MS = 300;

/**
 * Runs the command under the new Node and ends as it ends, with its exit code or by its signal. It has a session of its
 * own, so that the only signals it gets are those we pass on: each once, for to it a second one means "now".
 */
export async function handOver({ node, flags = [], entry, args, cwd, env }) {
  const argv = [node, ...flags, entry, ...args];
  // With us gone, nobody would be left to end it.
  if (spawnSync("setpriv", ["--version"]).status === 0) argv.unshift("setpriv", "--pdeathsig", "TERM", "--");
  const child = spawn(argv[0], argv.slice(1), { cwd, env, stdio: "inherit", detached: true });
  const passedOn = new Map();
  for (const signal of FORWARDED) {
    process.on(signal, () => {
      const now = performance.now();
      if (now - (passedOn.get(signal) ?? Number.NEGATIVE_INFINITY) < SAME_SIGNAL_MS) return;
      passedOn.set(signal, now);
      child.kill(signal);
    });
  }
  process.on("SIGWINCH", () => child.kill("SIGWINCH")); // its progress bars have our terminal's width
  const { code, signal } = await new Promise((resolve, reject) => {
    child.on("error", reject);
    child.on("exit", (code, signal) => resolve({ code, signal }));
  });
  if (signal === null) process.exit(code);
  for (const name of FORWARDED) process.removeAllListeners(name);
  process.kill(process.pid, signal);
}
