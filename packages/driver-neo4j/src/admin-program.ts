import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Tools } from "@stillpoint/driver/driver";
import { codeOf } from "./file-error.ts";

const run = promisify(execFile);
/** Of what it prints: a line for each file that it copies. */
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;
const LAST_WORDS = 2_048;

/** `neo4j-admin`, however it is started here. */
export type AdminProgram = {
  command: readonly [program: string, ...args: string[]];
  /** What `neo4j-admin database` can do: `backup` and `restore` belong to Enterprise. */
  offers: ReadonlySet<string>;
};

/** Of the settings, else the one on the PATH. Undefined: none can be run. */
export async function findAdmin({ neo4jAdmin }: Tools, signal: AbortSignal): Promise<AdminProgram | undefined> {
  const [program = "neo4j-admin", ...args] = neo4jAdmin ?? [];
  const command: AdminProgram["command"] = [program, ...args];
  try {
    const { stdout } = await run(program, [...args, "database", "--help"], { signal });
    return { command, offers: commandsIn(stdout) };
  } catch (error) {
    signal.throwIfAborted();
    // One that was named must be there; none on the PATH is as good as none.
    if (neo4jAdmin === undefined && ["ENOENT", "EACCES"].includes(codeOf(error) ?? "")) return undefined;
    throw failed("Cannot run neo4j-admin", command, error);
  }
}

/** Pure: the commands that a help text lists. */
export function commandsIn(help: string): Set<string> {
  const [, list = ""] = help.split(/^Commands:$/m);
  const names = [...list.matchAll(/^ {2}([a-z][a-z-]*)(?:,.*?)? {2,}\S/gm)].map(([, name = ""]) => name);
  return new Set(names);
}

/** Runs one command of it to its end; what it printed. */
export async function runAdmin(
  { command: [program, ...args] }: AdminProgram,
  given: readonly string[],
  { what, signal, env = {} }: { what: string; signal: AbortSignal; env?: Record<string, string> },
): Promise<string> {
  try {
    const environment = { ...process.env, ...env };
    const options = { signal, env: environment, maxBuffer: MOST_OUTPUT_BYTES };
    return (await run(program, [...args, ...given], options)).stdout;
  } catch (error) {
    if (signal.aborted) throw new StillpointError("CANCELLED", { what, cause: error });
    throw failed(what, [program, ...args, ...given.slice(0, 2)], error);
  }
}

function failed(what: string, command: readonly string[], error: unknown): StillpointError {
  const said = error instanceof Error && "stderr" in error ? String(error.stderr).trim().slice(-LAST_WORDS) : "";
  return new StillpointError("SOURCE_LOST", {
    what,
    where: command.join(" "),
    why: said !== "" ? said : error instanceof Error ? error.message : String(error),
    hint: "the setting STILLPOINT_NEO4J_ADMIN names the program; its version must be the server's",
    cause: error,
  });
}
