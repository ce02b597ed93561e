import { readdir, readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { postgresSource } from "@stillpoint/contracts/source";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { expect, it } from "vitest";
import { commandIn } from "./command-in.ts";
import { POINT_ID, run, startExport } from "./export-fixture.ts";

const ROWS = 100_000;

async function sizeOf(directory: string): Promise<number> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const sizes = found
    .filter((each) => each.isFile())
    .map(async (each) => (await stat(join(each.parentPath, each.name))).size);
  return (await Promise.all(sizes)).reduce((sum, each) => sum + each, 0);
}

it("of a dump comes back alone, as SQL or in a database where nothing of that name is, and a second dump stores little", async () => {
  await using bench = await startExport();
  await using server = await ownPostgres();
  const psql = async (database: string, ...args: string[]) => {
    const env = { ...process.env, PGPASSWORD: server.password, PGDATABASE: database };
    const to = ["-h", server.host, "-p", String(server.port), "-U", server.user, "-AtX", "-v", "ON_ERROR_STOP=1"];
    return (await run(join(server.binDirectory, "psql"), [...to, ...args], { env })).stdout.trim();
  };
  await psql("postgres", "-c", "create database shop");
  await psql("postgres", "-c", "create database elsewhere");
  const text = "md5(random()::text) || md5(random()::text) || md5(random()::text)";
  await psql(
    "shop",
    "-c",
    `create schema "the store"; create table "the store".item as select g as id, ${text} as text from generate_series(1, ${ROWS}) g`,
  );
  await psql(
    "shop",
    "-c",
    'alter table "the store".item add primary key (id); create index on "the store".item (text); create table other (n int)',
  );
  const source = {
    name: "orders",
    driver: postgresDriver,
    spec: postgresSource.parse({
      kind: "postgres",
      url: `postgres://${server.user}@127.0.0.1:${server.port}/postgres`,
      password: "${env:PASSWORD}",
      dump: "all",
    }),
    secret: server.password,
    tools: { postgresBin: server.binDirectory, serverUser: "postgres" },
  };
  const repository = join(bench.directory, "repository");
  const empty = await sizeOf(repository);
  await bench.seal([source]);
  const first = (await sizeOf(repository)) - empty;
  await psql("shop", "-c", "update \"the store\".item set text = 'changed' where id = 777");
  const second = "018f0000-0000-7000-8000-000000000003";
  await bench.seal([source], second, "2026-01-03T03:04:05.678Z");
  const more = (await sizeOf(repository)) - empty - first;
  // A chunk where the row was, one where it is now, the table of contents, and the documents: 523 kB after 5.2 MB.
  expect(first).toBeGreaterThan(1_000_000);
  expect(more / first).toBeLessThan(0.25);

  const command = commandIn(bench.directory, {
    ...process.env,
    STILLPOINT_POSTGRES_BIN: server.binDirectory,
    TARGET: server.password,
  });
  const table = (...words: string[]) =>
    command("table", "the store.item", "--plan", "shop", "--database", "shop", ...words, ...bench.where);
  const file = join(bench.directory, "item.sql");
  expect(await table("--to", file, "--dry-run")).toMatchObject({
    code: 0,
    out: expect.stringContaining("nothing was written"),
  });
  expect(await table("--to", file, "--point", POINT_ID)).toMatchObject({ code: 0 });
  expect(await table("--to", file)).toMatchObject({ code: 4, err: expect.stringContaining("there already") });
  expect(await readFile(file, "utf8")).not.toContain("changed");
  await psql("elsewhere", "-c", 'create schema "the store"', "-f", file);
  expect(await psql("elsewhere", "-c", 'select count(*), min(id), max(id) from "the store".item')).toBe(
    `${ROWS}|1|${ROWS}`,
  );
  expect(await psql("elsewhere", "-c", "select count(*) from pg_tables where tablename = 'other'")).toBe("0");

  const into = [
    "--into",
    `postgres://${server.user}@127.0.0.1:${server.port}/elsewhere`,
    "--password",
    "${env:TARGET}",
  ];
  expect(await table(...into)).toMatchObject({ code: 6, err: expect.stringContaining("already exists") });
  await psql("elsewhere", "-c", 'drop table "the store".item');
  expect(await table(...into, "--json")).toMatchObject({ code: 0 });
  expect(await psql("elsewhere", "-c", 'select text from "the store".item where id = 777')).toBe("changed");
  expect(
    await psql(
      "elsewhere",
      "-c",
      "select count(*) from pg_constraint where contype = 'p' and conrelid = '\"the store\".item'::regclass",
    ),
  ).toBe("1");

  const unknown = await command(
    "table",
    "nothing",
    "--plan",
    "shop",
    "--database",
    "shop",
    "--to",
    `${file}2`,
    ...bench.where,
  );
  expect(unknown).toMatchObject({ code: 5, err: expect.stringContaining("the store item") });
  expect(await table("--to", `${file}3`, "--database", "nowhere")).toMatchObject({
    code: 5,
    err: expect.stringContaining("postgres, shop"),
  });
});
