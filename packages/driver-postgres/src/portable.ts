import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import { onceWritten, type PortableFile } from "@stillpoint/driver/portable";
import { userDatabases } from "./databases.ts";
import { isDump, parseDumpDetail, ROLES_PATH, TABLESPACES_PATH } from "./dump-mark.ts";
import { startRestored } from "./sandbox.ts";

/**
 * Roles and tablespaces as SQL, then each database as a dump in the custom format. A dump goes into a file, not a pipe:
 * only then does its table of contents say where each table's data begins, so that `pg_restore` can take one table, or
 * several at once.
 */
export async function* exportPostgres(input: SandboxInput, context: DriverContext): AsyncGenerator<PortableFile> {
  if (isDump(input.mark)) {
    yield* dumpedFiles(input);
    return;
  }
  await using server = await startRestored(input, context);
  const { run } = server.checked;
  const file =
    (program: string, args: readonly string[], env: Record<string, string> = {}) =>
    () => {
      const path = join(context.directory, `${randomUUID()}.export`);
      return onceWritten(path, async () => {
        const result = await run(program, ["--no-password", `--file=${path}`, ...args], env);
        if (result === "missing")
          throw new StillpointError("STORE_NOT_INSTALLED", {
            what: `Cannot export ${server.version}`,
            where: program,
            why: "the program is not beside the server's",
            hint: "install the client programs of the same major version",
          });
        if (result.code === 0) return;
        context.signal.throwIfAborted();
        throw new StillpointError("SANDBOX_FAILED", {
          what: "Cannot export a restored PostgreSQL",
          where: program,
          why: `exit code ${result.code}: ${result.words}`,
        });
      });
    };
  yield {
    part: "roles",
    extension: "sql",
    format: "roles and tablespaces as SQL, for psql",
    madeBy: `pg_dumpall of ${server.version}`,
    content: file("pg_dumpall", ["--globals-only"]),
  };
  for (const database of await userDatabases(server.checked))
    yield {
      part: database,
      extension: "dump",
      format: "custom format, for pg_restore",
      madeBy: `pg_dump of ${server.version}`,
      // The name by the environment: as an argument, one with `=` in it would be read as settings.
      content: file("pg_dump", ["--format=custom"], { PGDATABASE: database }),
    };
}

/** Of a source that is captured by dumps: what they are already, with no server at all. */
function* dumpedFiles({ directory, mark, runtime }: SandboxInput): Generator<PortableFile> {
  const { dump } = parseDumpDetail(mark);
  const file = (path: string) => () => createReadStream(join(directory, path)) as AsyncIterable<Buffer>; // no encoding: buffers
  const madeBy = `pg_dumpall of PostgreSQL ${runtime.version}`;
  const sql = { extension: "sql", madeBy } as const;
  yield { ...sql, part: "roles", format: "roles as SQL, for psql", content: file(ROLES_PATH) };
  yield { ...sql, part: "tablespaces", format: "tablespaces as SQL, for psql", content: file(TABLESPACES_PATH) };
  for (const { name, path } of dump.databases)
    yield {
      part: name,
      extension: "dump",
      format: "custom format, for pg_restore",
      madeBy: dump.program,
      content: file(path),
    };
}
