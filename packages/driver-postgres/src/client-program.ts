import { spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { once } from "node:events";
import { open, rm } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import type { DriverContext } from "@stillpoint/driver/driver";
import { lastWords } from "@stillpoint/driver/last-words";
import { sessionOptions } from "./connection.ts";
import { programVersion } from "./runtime.ts";
import type { SourceAddress } from "./source-address.ts";

export type ClientProgram = (program: string, args: readonly string[], env?: Record<string, string>) => Promise<void>;

export type ClientOptions = {
  bin: string;
  /** Where a program connects to, if it does. */
  server?: { address: SourceAddress; password: Secret | undefined; major: number };
  /** What fails if a program does. */
  what: string;
};

/** Runs PostgreSQL's client programs on this machine; a failure has their last words. */
export function clientPrograms(
  { bin, server, what }: ClientOptions,
  { directory, signal }: Pick<DriverContext, "directory" | "signal">,
): ClientProgram {
  return async (program, args, env = {}) => {
    const output = join(directory, `${program}-${randomUUID()}.log`);
    await using log = await open(output, "wx", 0o600);
    try {
      const child = spawn(join(bin, program), args, {
        // Nothing is inherited, so that no setting of this process or file of its account has a say.
        env: { LC_ALL: "C", PGPASSFILE: "/dev/null", ...(server === undefined ? {} : environmentOf(server)), ...env },
        stdio: ["ignore", log.fd, log.fd],
        signal,
        killSignal: "SIGKILL",
      });
      const [code] = await once(child, "exit");
      if (code === 0) return;
      throw failed(what, program, `exit code ${code}: ${await lastWords(output)}`);
    } catch (error) {
      if (error instanceof StillpointError) throw error;
      const why = error instanceof Error ? error.message : String(error);
      if (signal.aborted) throw new StillpointError("CANCELLED", { what, where: program, why: "it was asked to stop" });
      if (error instanceof Error && "code" in error && error.code === "ENOENT") throw notThere(what, program);
      throw new StillpointError("INTERNAL", { what, where: program, why, cause: error });
    } finally {
      await rm(output, { force: true });
    }
  };
}

/** By the environment: a command line is seen by everybody on the machine, and a name with `=` in it would be read as settings. */
function environmentOf({ address, password, major }: NonNullable<ClientOptions["server"]>): Record<string, string> {
  const { host, port, user, database, tls } = address;
  return {
    PGHOST: host,
    PGPORT: String(port),
    PGUSER: user,
    PGDATABASE: database,
    PGAPPNAME: "stillpoint",
    PGCONNECT_TIMEOUT: "10",
    PGOPTIONS: sessionOptions(major),
    ...Object.fromEntries(Object.entries(tls).map(([name, value]) => [`PG${name.toUpperCase()}`, value])),
    ...(password === undefined ? {} : { PGPASSWORD: password.reveal() }),
  };
}

/** The directory of client programs that read a server of that version: those of the same one, or of a later. */
export async function clientBin(
  what: string,
  major: number,
  bin: string | undefined,
): Promise<{ bin: string; version: string }> {
  const found = bin === undefined ? undefined : await programVersion(bin);
  if (bin !== undefined && found !== undefined && found.major >= major) return { bin, version: found.version };
  throw new StillpointError("STORE_NOT_INSTALLED", {
    what,
    where: bin,
    why:
      found === undefined
        ? "no PostgreSQL programs are installed here"
        : `the programs here are of version ${found.major}, and the server of ${major}`,
    hint: `install those of ${major} or later, and set STILLPOINT_POSTGRES_BIN of this agent to their directory`,
  });
}

/** A program says what is wrong in words only. */
function failed(what: string, where: string, why: string): StillpointError {
  if (why.includes("permission denied") || why.includes("must be owner"))
    return new StillpointError("SOURCE_DENIED", {
      what,
      where,
      why,
      hint: "give the user that right; to read everything: GRANT pg_read_all_data",
    });
  if (why.includes("already exists"))
    return new StillpointError("CONFLICT", {
      what,
      where,
      why,
      hint: "rename or drop what is there; nothing was changed",
    });
  if (why.includes("authentication failed") || why.includes("no password supplied"))
    return new StillpointError("SOURCE_DENIED", { what, where, why, hint: "check the user and where its password is" });
  return new StillpointError("SOURCE_LOST", { what, where, why });
}

function notThere(what: string, program: string): StillpointError {
  return new StillpointError("STORE_NOT_INSTALLED", {
    what,
    where: program,
    why: "the program is not beside the server's",
    hint: "install the client programs of the same major version",
  });
}
