import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import { lastWords } from "@stillpoint/driver/last-words";
import { onceWritten, type PortableFile } from "@stillpoint/driver/portable";
import { dumpArguments, javaOptions } from "./java-command.ts";
import { startRestored } from "./sandbox.ts";
import { confOf, type ServerHome } from "./server-process.ts";

/**
 * The database as `neo4j-admin database dump` makes it, which Community has too. It takes a database that was stopped well:
 * so a server recovers it first. The system database is not in it: users and roles are the server's, not the database's.
 */
export async function* exportNeo4j(input: SandboxInput, context: DriverContext): AsyncGenerator<PortableFile> {
  await using opening = new AsyncDisposableStack();
  const { home, server, version } = await startRestored(input, context, opening);
  await server.stop();
  yield {
    part: home.database,
    extension: "dump",
    format: "dump, for neo4j-admin database load",
    madeBy: `neo4j-admin of ${version}`,
    content: () => {
      const directory = join(home.directory, "dump");
      return onceWritten(join(directory, `${home.database}.dump`), () => dump(home, directory));
    },
  };
}

async function dump(home: ServerHome, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  const output = join(home.directory, "dump.log");
  await rm(output, { force: true });
  const options = [...javaOptions(home.size), ...home.javaOptions];
  const child = await home.isolation.spawn(
    home.java,
    [...options, ...dumpArguments(home.lib, home.database, directory)],
    { output, env: { NEO4J_HOME: home.directory, NEO4J_CONF: confOf(home) } },
  );
  const { code } = await child.exited;
  if (code === 0) return;
  home.signal.throwIfAborted();
  throw new StillpointError("SANDBOX_FAILED", {
    what: "Cannot dump a restored Neo4j database",
    where: home.database,
    why: `exit code ${code}: ${await lastWords(output, 2048)}`,
  });
}
