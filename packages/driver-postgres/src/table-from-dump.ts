import { randomUUID } from "node:crypto";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { PostgresSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { clientPrograms } from "./client-program.ts";
import { sourceAddress } from "./source-address.ts";
import { sourcePassword } from "./source-password.ts";

export type TableName = { schema: string; table: string };

export type TableRequest = {
  /** What pg_dump wrote in its custom format. */
  dump: string;
  table: TableName;
  /** SQL into a file, or the table itself into a database: the one that the url names. */
  to: { file: string } | { database: PostgresSource };
  /** Of PostgreSQL's programs, and their major version. */
  bin: string;
  major: number;
};

const WHAT = "Cannot take a table out of a dump";
/** What makes a table without anything else of its database: its keys are, indexes and references are not. */
const PARTS = ["TABLE", "TABLE DATA", "CONSTRAINT"];

/** Its definition, its rows, and its primary key and unique constraints. All of it or nothing; a table that is there is not touched. */
export async function tableFromDump(request: TableRequest, context: DriverContext): Promise<void> {
  const { dump, table, to, bin, major } = request;
  const own = (name: string) => join(context.directory, `${randomUUID()}.${name}`);
  const plain = clientPrograms({ bin, what: WHAT }, context);
  const [list, chosen] = [own("list"), own("chosen")];
  await plain("pg_restore", ["--list", `--file=${list}`, dump]);
  const lines = (await readFile(list, "utf8")).split("\n");
  const wanted = lines.filter((line) => isOf(line, table));
  if (wanted.length === 0) throw unknownTable(table, lines);
  await writeFile(chosen, `${wanted.join("\n")}\n`, { mode: 0o600 });
  const args = [`--use-list=${chosen}`, "--no-owner", "--no-privileges", "--no-tablespaces"];
  if ("file" in to) return await plain("pg_restore", [...args, `--file=${to.file}`, dump]);
  const address = sourceAddress(to.database);
  const server = { address, password: sourcePassword(to.database, address, context.secret), major };
  const connected = clientPrograms({ bin, server, what: WHAT }, context);
  // An empty name: the database is the environment's.
  await connected("pg_restore", [
    ...args,
    "--single-transaction",
    "--exit-on-error",
    "--no-password",
    "--dbname=",
    dump,
  ]);
}

/** A line of a dump's table of contents: `215; 1259 16390 TABLE public item owner`, `3311; 2606 16396 CONSTRAINT public item item_pkey owner`. */
function isOf(line: string, { schema, table }: TableName): boolean {
  const [, entry] = /^\d+; \d+ \d+ (.*)$/.exec(line) ?? [];
  return entry !== undefined && PARTS.some((part) => entry.startsWith(`${part} ${schema} ${table} `));
}

function unknownTable({ schema, table }: TableName, lines: readonly string[]): StillpointError {
  const there = lines.flatMap((line) => /^\d+; \d+ \d+ TABLE (?!DATA )(.+) \S+$/.exec(line)?.[1] ?? []);
  return new StillpointError("NOT_FOUND", {
    what: "The dump does not hold that table",
    where: `${schema}.${table}`,
    why:
      there.length === 0
        ? "it holds none"
        : `it holds ${there.slice(0, 20).join(", ")}${there.length > 20 ? ", …" : ""}`,
  });
}
