import { spawn } from "node:child_process";

/** Runs a program; says that it is alive when that takes over a second, and shows what it wrote only when it fails. */
export async function runQuietly(what, command, args, { cwd, env, say }) {
  let seconds = 0;
  const alive = setInterval(() => {
    seconds++;
    if (seconds === 1 || seconds % 10 === 0) say(`${what} … ${seconds} s`);
  }, 1_000);
  try {
    const child = spawn(command, args, { cwd, env, stdio: ["ignore", "pipe", "pipe"] });
    const output = [];
    for (const stream of [child.stdout, child.stderr]) stream.on("data", (data) => output.push(data));
    const code = await new Promise((resolve, reject) => {
      child.on("close", (exit, signal) => resolve(exit ?? signal));
      child.on("error", (error) => reject(new Error(`${what}: ${command} cannot be run: ${error.message}`)));
    });
    if (code === 0) return;
    process.stderr.write(Buffer.concat(output));
    throw new Error(`${what}: ${command} ${args[0]} failed (${code})`);
  } finally {
    clearInterval(alive);
  }
}
