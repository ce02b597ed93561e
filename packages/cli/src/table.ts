import { access, mkdir } from "node:fs/promises";
import { join, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import { postgresSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { isDump, parseDumpDetail } from "@stillpoint/driver-postgres/dump-mark";
import type { TableName, TableRequest } from "@stillpoint/driver-postgres/table-from-dump";
import type { Command } from "commander";
import { openWorkDirectory } from "./export/export-source.ts";
import { exportTools } from "./export/export-tools.ts";
import { bytes, span } from "./figures.ts";
import { type KeyOptions, withKey } from "./key/key-options.ts";
import { repositoryReader, vaultReader } from "./point-reader.ts";
import { secretReader } from "./secret-reader.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

type TableOptions = KeyOptions & {
  point?: string;
  plan?: string;
  source?: string;
  database?: string;
  repository?: string;
  to?: string;
  into?: string;
  password?: string;
  work?: string;
  dryRun: boolean;
  json?: boolean;
};

/** `stillpoint table`: one table out of a PostgreSQL dump. `idOf` refuses what is no point's id. */
export function addTableCommand(root: Command, world: World, idOf: (text: string) => string): void {
  withKey(root.command("table"))
    .argument("<table>", "its name, as in shop.item; without a schema: public")
    .description("one table out of a point's PostgreSQL dump, as SQL into a file or straight into a database")
    .option("--point <id>", "of this point; the newest whole one of the plan where it is left out", idOf)
    .option("--plan <name>", "whose newest point")
    .option("--source <name>", "which source; may be left out where one is dumped")
    .option("--database <name>", "which database; may be left out where one was dumped")
    .option("--to <file>", "write SQL there; must not be there yet")
    .option(
      "--into <url>",
      "or load into this database: postgres://user@host/database; a table that is there is not touched",
    )
    .option(
      "--password <reference>",
      "of that database's user: ${env:NAME} or ${file:/path}; never the password itself",
    )
    .option("--repository <url>", "straight from a repository, with no service running: its URL or targets file")
    .option("--work <directory>", "where the dump lies meanwhile; default: below the system's temporary directory")
    .option("--dry-run", "say what would be read, and write nothing", false)
    .option("--json", "print the result as one JSON document on standard output")
    .action((table: string, options: TableOptions) => takeTable(world, table, options));
}

async function takeTable(world: World, text: string, options: TableOptions): Promise<void> {
  const to = await destination(options);
  const table = tableName(text);
  await using reader = await (options.repository === undefined
    ? vaultReader(world)
    : repositoryReader(world, options.repository, options));
  const point = await reader.find(options.point, options.plan);
  const source = dumpedSource(point, options.source);
  const { database, path } = dumpedDatabase(source, options.database);
  const tools = await exportTools(source, world.environment);
  const bin = tools.postgresBin;
  if (bin === undefined) throw noPrograms(source);
  const shown = `${table.schema}.${table.table} of ${database}`;
  world.errorLine(`point ${point.pointId} of ${point.cut.at}: ${shown}, source ${source.source}`);
  if (options.dryRun) {
    const figures = { point: point.pointId, source: source.source, database, table: text, bytes: source.bytes };
    world.out(
      options.json
        ? `${JSON.stringify(figures)}\n`
        : `would read up to ${bytes(source.bytes)} into the work directory; nothing was written\n`,
    );
    return;
  }
  const startedMs = world.clock.monotonicMs();
  await using home = await claimDirectory(await openWorkDirectory(options.work), "table");
  const [tree, own] = [join(home.path, "tree"), join(home.path, "own")];
  for (const directory of [tree, own]) await mkdir(directory, { mode: 0o700 });
  let read = 0;
  const progress = (more: number) => {
    read += more;
  };
  const extract = reader.extract(false);
  const { tableFromDump } = await import("@stillpoint/driver-postgres/table-from-dump");
  await stillAlive(
    world,
    () => `${shown}: ${bytes(read)}`,
    async () => {
      for (const backup of source.backups)
        await extract(backup, tree, { path, keepOwners: false, progress, base: false });
      const major = Number(/^pg(\d+)/.exec(source.runtime.id)?.[1]);
      await tableFromDump({ dump: join(tree, path), table, to, bin, major }, contextOf(world, own, tools));
    },
  );
  const ms = world.clock.monotonicMs() - startedMs;
  const where = "file" in to ? to.file : to.database.url;
  world.out(
    options.json
      ? `${JSON.stringify({ point: point.pointId, source: source.source, database, table: text, to: where, ms }, undefined, 2)}\n`
      : `${shown} into ${where} in ${span(ms)}; its indexes, references and triggers are in the dump\n`,
  );
}

/** The one of the two that was given; nothing is read before it can be used. */
async function destination({ to, into, password }: TableOptions): Promise<TableRequest["to"]> {
  if ((to === undefined) === (into === undefined))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot tell where the table goes",
      where: "--to, --into",
      why: "exactly one of them is needed",
    });
  if (to !== undefined) {
    const file = resolve(to);
    const isThere = await access(file).then(
      () => true,
      () => false, // whatever else is wrong there shows when it is written
    );
    if (!isThere) return { file };
    throw new StillpointError("DESTINATION_NOT_EMPTY", {
      what: "Nothing was written",
      where: file,
      why: "it is there already",
    });
  }
  const given = { kind: "postgres", url: into, ...(password === undefined ? {} : { password }) };
  const parsed = postgresSource.safeParse(given);
  if (parsed.success) return { database: parsed.data };
  const [issue] = parsed.error.issues;
  // Not the value: somebody may have given the password itself.
  const option = issue?.path[0] === "password" ? "--password" : "--into";
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read which database is meant",
    where: option,
    why: issue?.message,
  });
}

function tableName(text: string): TableName {
  const at = text.indexOf(".");
  return at < 0 ? { schema: "public", table: text } : { schema: text.slice(0, at), table: text.slice(at + 1) };
}

function dumpedSource(point: Point, named: string | undefined): PointSource {
  const dumped = point.sources.filter(({ kind, mark }) => kind === "postgres" && isDump(mark));
  const found = dumped.filter(({ source }) => named === undefined || source === named);
  const [first, ...others] = found;
  if (first !== undefined && others.length === 0) return first;
  throw new StillpointError("NOT_FOUND", {
    what: "Cannot tell which dump is meant",
    where: named ?? "--source",
    why:
      dumped.length === 0
        ? "the point holds no PostgreSQL dump"
        : `dumps are ${dumped.map(({ source }) => source).join(", ")}`,
    hint: "a copy of a whole cluster becomes dumps by: stillpoint point export",
  });
}

function dumpedDatabase({ mark }: PointSource, named: string | undefined): { database: string; path: string } {
  const { databases } = parseDumpDetail(mark).dump;
  const [first, ...others] = databases.filter(({ name }) => named === undefined || name === named);
  if (first !== undefined && others.length === 0) return { database: first.name, path: first.path };
  throw new StillpointError("NOT_FOUND", {
    what: "Cannot tell which database is meant",
    where: named ?? "--database",
    why: `databases in the dump are ${databases.map(({ name }) => name).join(", ")}`,
  });
}

function noPrograms({ runtime }: PointSource): StillpointError {
  return new StillpointError("STORE_NOT_INSTALLED", {
    what: "Cannot take a table out of a dump",
    where: "pg_restore",
    why: `PostgreSQL's programs of version ${runtime.version} are not installed here`,
    hint: "install them, or set STILLPOINT_POSTGRES_BIN to their directory",
  });
}

function contextOf(world: World, directory: string, tools: DriverContext["tools"]): DriverContext {
  return {
    directory,
    signal: world.signal,
    secret: secretReader(world),
    monotonicMs: world.clock.monotonicMs,
    now: world.clock.now,
    log: () => undefined, // figures for an agent's log
    tools,
  };
}
