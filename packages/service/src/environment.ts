import { StillpointError } from "@stillpoint/contracts/errors";
import type { z } from "zod";

export type Environment = Readonly<Record<string, string | undefined>>;

export type EnvironmentReaders = { environment: Environment; readFile: (path: string) => string };

/** One setting that cannot be used, for people. Values of secrets are not in it. */
export type BadSetting = { name: string; value: string; why: string };

export type ParsedSettings<Settings> = { settings: Readonly<Settings>; bad?: never } | { bad: BadSetting[] };

/** The settings of one schema; every bad one is named, not only the first. */
export function parseSettings<Schema extends z.ZodObject>(
  schema: Schema,
  readers: EnvironmentReaders,
): ParsedSettings<z.output<Schema>> {
  const bad: BadSetting[] = [];
  const raw: Record<string, string> = {};
  for (const name of Object.keys(schema.shape)) {
    try {
      const value = readSetting(name, `${name}_FILE` in schema.shape, readers);
      if (value !== undefined) raw[name] = value;
    } catch (error) {
      bad.push({ name: `${name}_FILE`, value: readers.environment[`${name}_FILE`] ?? "", why: messageOf(error) });
    }
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success && bad.length === 0) return { settings: Object.freeze(parsed.data) };
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0] ?? "");
    if (bad.some((one) => one.name === `${name}_FILE`)) continue;
    bad.push({ name, value: shown(name, raw[name]), why: raw[name] === undefined ? "is not set" : issue.message });
  }
  return { bad };
}

/**
 * The variable, or the content of the file that `<NAME>_FILE` names, unless that is a setting of its own. An empty variable is an
 * absent one: that is what compose files and unit files make of unset ones.
 */
function readSetting(name: string, hasFileSetting: boolean, readers: EnvironmentReaders): string | undefined {
  const value = readers.environment[name];
  if (value !== undefined && value !== "") return value;
  const path = hasFileSetting ? undefined : readers.environment[`${name}_FILE`];
  if (path === undefined || path === "") return undefined;
  return readers.readFile(path).replace(/\r?\n$/, "");
}

const SECRET_NAME = /PASSWORD|PASSPHRASE|TOKEN|SECRET|NKEY|CREDS|WEBHOOK|(^|_)KEY(_|$)/;

function shown(name: string, value: string | undefined): string {
  if (value === undefined) return "";
  return SECRET_NAME.test(name) ? "[redacted]" : value.replaceAll(/\/\/[^@/\s]*@/g, "//[redacted]@");
}

export function settingsError(bad: readonly BadSetting[]): StillpointError {
  const lines = bad.map(({ name, value, why }) => (value === "" ? `${name} ${why}` : `${name}=${value}: ${why}`));
  return new StillpointError("CONFIG_INVALID", {
    what: "Cannot start with these settings",
    where: bad.map(({ name }) => name).join(", "),
    why: lines.join("; "),
    hint: "set these environment variables, or put a value into a file and name it in <NAME>_FILE",
  });
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
