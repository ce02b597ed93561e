import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { PostgresSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { z } from "zod";
import { type ClientProgram, clientBin, clientPrograms } from "./client-program.ts";
import { connect } from "./connection.ts";
import { addCounts } from "./counting.ts";
import { dumpDetail, dumpPath, ROLES_PATH, TABLESPACES_PATH } from "./dump-mark.ts";
import { openSnapshots, type TakenSnapshots } from "./dump-snapshots.ts";
import { checkVersion, dumpNotesOf, majorOf } from "./requirements.ts";
import { countTables, type RowCounts } from "./row-counts.ts";
import { rowOf } from "./rows.ts";
import { runtimeOf } from "./runtime.ts";
import { readDatabase, type ServerFacts, serverFacts, versionNumber } from "./server-facts.ts";
import { probeAddress, sourceAddress } from "./source-address.ts";
import { sourcePassword } from "./source-password.ts";

const WHAT = "Cannot dump PostgreSQL";
/** As in counting.ts: what counting may take, beside dumps that take longer. */
const COUNTING_MS = 3_000;

/**
 * Databases as pg_dump writes them, each within the snapshot that was opened at the cut. Uncompressed: the repository
 * compresses, and finds again what did not change since the last dump.
 */
export async function openDump(source: PostgresSource, context: DriverContext): Promise<Capture> {
  const { signal } = context;
  const address = sourceAddress(source);
  const where = probeAddress(address);
  const password = sourcePassword(source, address, context.secret);
  const options = { address, password, signal };
  await using opened = new AsyncDisposableStack();
  const sql = opened.use(await connect({ ...options, what: WHAT }));
  const version = await versionNumber(sql);
  checkVersion(version, where);
  const major = majorOf(version);
  const { bin, version: program } = await clientBin(WHAT, major, context.tools.postgresBin);
  const facts = await serverFacts(sql);
  const databases = chosenDatabases(source, facts, where);
  const [rights] = await sql.query("select has_table_privilege('pg_authid', 'select') as yes");
  const seesPasswords = rowOf(rights, z.object({ yes: z.boolean() })).yes;
  const extensions = new Set<string>();
  for (const database of databases) {
    await using other = await connect({ ...options, database, what: "Cannot read PostgreSQL's catalog" });
    for (const extension of (await readDatabase(other)).extensions) extensions.add(extension);
  }
  const run = clientPrograms({ bin, server: { address, password, major }, what: WHAT }, context);
  const snapshots = opened.use(openSnapshots(options, databases, context));
  let current: { cutId: string; taken: TakenSnapshots } | undefined;

  const resources = opened.move();
  return {
    description: {
      version: `PostgreSQL ${facts.settings.server_version}`,
      runtime: runtimeOf(facts, version, [...extensions].sort()),
      hasLog: false,
      finish: "full",
      notes: dumpNotesOf(facts, version, { seesPasswords }),
    },

    async base() {
      throw new StillpointError("INTERNAL", { what: WHAT, where, why: "dumps have no base" });
    },

    settle: () => snapshots.settle(),

    async mark({ cutId, budgetMs }): Promise<Mark> {
      const taken = await snapshots.take(budgetMs);
      current = { cutId, taken };
      const several = `databases are up to ${taken.spanMs} ms apart, for transactions ended between their snapshots`;
      return {
        cutId,
        position: `snapshot ${taken.snapshots[0]?.shows}`,
        detail: dumpDetail.encode({
          dump: {
            databases: databases.map((name) => ({ name, path: dumpPath(name) })),
            program: `pg_dump ${program}`,
            encoding: facts.settings.server_encoding ?? "UTF8",
            locale: facts.collation,
          },
          database: address.database,
          bootstrapUser: facts.bootstrapUser,
        }),
        ...(taken.isOne ? {} : { fuzzy: several }),
        notes: ["roles and tablespaces are as they were while the dumps were made"],
      };
    },

    async finish(tree) {
      if (current === undefined) throw new StillpointError("INTERNAL", { what: WHAT, where, why: "it was not marked" });
      const { cutId, taken } = current;
      const mtimeMs = context.now();
      const spooled: Spooled = { tree, directory: context.directory, mtimeMs, run };
      await tree.add({ type: "directory", path: "dumps", mode: 0o700, mtimeMs });
      const rolesOnly = ["--roles-only", ...(seesPasswords ? [] : ["--no-role-passwords"])];
      await addOutput(spooled, ROLES_PATH, "pg_dumpall", rolesOnly);
      await addOutput(spooled, TABLESPACES_PATH, "pg_dumpall", ["--tablespaces-only"]);
      const startedMs = context.monotonicMs();
      const counts: RowCounts = { cutId, counted: [], skipped: [] };
      for (const { database, connection, id } of taken.snapshots) {
        await addOutput(
          spooled,
          dumpPath(database),
          "pg_dump",
          ["--format=custom", "--compress=0", `--snapshot=${id}`],
          {
            PGDATABASE: database,
          },
        );
        const snapshot = { connection, database, next: 0n, running: false };
        const left = () => COUNTING_MS - (context.monotonicMs() - startedMs);
        const { counted, skipped } = await countTables(snapshot, left);
        counts.counted.push(...counted);
        counts.skipped.push(...skipped);
      }
      await addCounts(tree, counts, mtimeMs);
    },

    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

type Spooled = { tree: TreeWriter; directory: string; mtimeMs: number; run: ClientProgram };

/**
 * One program's file. It goes by way of the disk: an entry begins with its size, and only into a file does pg_dump write
 * where each table's data begins.
 */
async function addOutput(
  { tree, directory, mtimeMs, run }: Spooled,
  path: string,
  program: string,
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<void> {
  const spool = join(directory, `${randomUUID()}.spool`);
  try {
    await run(program, ["--no-password", `--file=${spool}`, ...args], env);
    const { size } = await stat(spool);
    await tree.add({ type: "file", path, mode: 0o600, mtimeMs, size, hint: "content" }, createReadStream(spool));
  } finally {
    await rm(spool, { force: true });
  }
}

function chosenDatabases({ dump }: PostgresSource, { databases }: ServerFacts, where: string): string[] {
  const names = databases.map(({ name }) => name);
  const wanted = dump === undefined || dump === "all" ? names : dump;
  const missing = wanted.find((name) => !names.includes(name));
  if (missing !== undefined)
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: WHAT,
      where: `${where}/${missing}`,
      why: `the server has no such database, but ${names.join(", ")}`,
      hint: "correct `dump` of the source",
    });
  const closed = databases.find(({ name, mayConnect }) => wanted.includes(name) && !mayConnect);
  if (closed === undefined) return wanted;
  throw new StillpointError("SOURCE_DENIED", {
    what: WHAT,
    where: `${where}/${closed.name}`,
    why: "the user may not connect to it",
    hint: `GRANT CONNECT ON DATABASE "${closed.name}" TO the user, or leave it out of \`dump\``,
  });
}
