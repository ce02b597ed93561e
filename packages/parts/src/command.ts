import { execFile } from "node:child_process";
import { access, constants } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { promisify } from "node:util";

const execute = promisify(execFile);

export type CommandOptions = {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
};

/** Runs a command to its end. Rejects with an excerpt of what it wrote, for that says what to do. */
export async function runToEnd(
  command: string,
  args: readonly string[],
  options: CommandOptions = {},
): Promise<{ stdout: string; stderr: string }> {
  try {
    return await execute(command, args, { ...options, maxBuffer: 64 * 1024 * 1024 });
  } catch (error) {
    throw new Error(`${command} ${args[0] ?? ""} failed: ${excerpt(outputOf(error))}`, { cause: error });
  }
}

export function lastLines(text: string, count = 6): string {
  return text.trim().split("\n").slice(-count).join(" / ");
}

/** Some programs say what is wrong first and explain themselves after, others the other way round. */
function excerpt(text: string): string {
  const lines = text.trim().split("\n");
  return lines.length <= 8 ? lines.join(" / ") : `${lines.slice(0, 2).join(" / ")} / … / ${lastLines(text)}`;
}

function outputOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const written = ["stderr", "stdout"].map((key) => Reflect.get(error, key)).filter((text) => typeof text === "string");
  return written.find((text) => text.trim() !== "") ?? error.message;
}

/** Every place where `name` is an executable on PATH, in PATH's order. */
export async function findOnPath(name: string, env: NodeJS.ProcessEnv): Promise<string[]> {
  const candidates = (env.PATH ?? "")
    .split(delimiter)
    .filter((directory) => directory !== "")
    .map((directory) => join(directory, name));
  const executable = await Promise.all(candidates.map(isExecutable));
  return candidates.filter((_, index) => executable[index]);
}

export async function isExecutable(path: string): Promise<boolean> {
  return access(path, constants.X_OK).then(
    () => true,
    () => false,
  );
}
