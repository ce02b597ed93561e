import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { installPackages } from "./apt-packages.ts";
import { findOnPath, runToEnd } from "./command.ts";
import type { PartOptions } from "./part-options.ts";

const HAS_PIP = ["-c", "import pip"];
const HAS_VENV = ["-c", "import ensurepip, venv"];

/**
 * Puts Python packages into `target`, for PYTHONPATH. Debian parts Python from pip and from venv, so each is tried, and
 * pip is installed where we may. A directory rather than a virtual environment: it may be renamed, and needs no venv.
 */
export async function installPython(
  packages: readonly string[],
  target: string,
  options: PartOptions & { readonly withDependencies: boolean; readonly anyPython?: boolean },
): Promise<void> {
  const env = options.env ?? process.env;
  const python = await findPython(env);
  const args = ["-m", "pip", "install", "--quiet", "--no-input", "--target", target];
  if (!options.withDependencies) args.push("--no-deps");
  if (options.anyPython) args.push("--ignore-requires-python");
  args.push(...packages);
  if (await canRun(python, HAS_PIP, env)) {
    await runToEnd(python, args, { env });
    return;
  }
  if (await canRun(python, HAS_VENV, env)) {
    const virtual = await mkdtemp(join(tmpdir(), "stillpoint-pip-"));
    try {
      await runToEnd(python, ["-m", "venv", virtual], { env });
      await runToEnd(join(virtual, "bin/python"), args, { env });
    } finally {
      await rm(virtual, { recursive: true, force: true });
    }
    return;
  }
  await installPackages(["python3-pip"], options);
  await runToEnd("/usr/bin/python3", args, { env });
}

/** Debian parts Python from pip and from venv: without either, pip is to be installed. */
export async function missingPip(env: NodeJS.ProcessEnv): Promise<string[]> {
  const [python] = await findOnPath("python3", env);
  if (python === undefined) return ["python3-pip"];
  for (const args of [HAS_PIP, HAS_VENV]) if (await canRun(python, args, env)) return [];
  return ["python3-pip"];
}

export async function findPython(env: NodeJS.ProcessEnv): Promise<string> {
  const [python] = await findOnPath("python3", env);
  if (python === undefined) throw new Error("there is no python3 on PATH");
  return python;
}

async function canRun(command: string, args: readonly string[], env: NodeJS.ProcessEnv): Promise<boolean> {
  return runToEnd(command, args, { env }).then(
    () => true,
    () => false,
  );
}
