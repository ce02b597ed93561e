import { chmod, chown, lstat, mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { postgresSource } from "@stillpoint/contracts/source";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { expect, it } from "vitest";
import { askAlone } from "./ask-alone.ts";
import { commandIn } from "./command-in.ts";
import { run, startExport } from "./export-fixture.ts";

it("of a point lie where restore was told, and inside of its directory where it was not; nothing is written before that is sure", async () => {
  await using bench = await startExport();
  await using server = await ownPostgres();
  await using twin = await ownPostgres();
  const at = (name: string) => join(bench.directory, name);
  const { uid, gid } = await stat(server.dataDirectory);
  const query = async (text: string) =>
    void (await run(join(server.binDirectory, "psql"), ["-X", "-v", "ON_ERROR_STOP=1", "-c", text, server.url()]));
  for (const name of ["fast", "slow"]) {
    await mkdir(at(name));
    await chown(at(name), uid, gid);
    await query(`create tablespace ${name} location '${at(name)}'`);
    await query(`create table on_${name} (n int) tablespace ${name}`);
  }
  const source = (name: string, { user, port, password, binDirectory }: typeof server) => ({
    name,
    driver: postgresDriver,
    spec: postgresSource.parse({
      kind: "postgres",
      url: `postgres://${user}@127.0.0.1:${port}/postgres`,
      password: "${env:PASSWORD}",
    }),
    secret: password,
    tools: { postgresBin: binDirectory, serverUser: "postgres" },
  });
  // Two clusters in one plan.
  await bench.seal([source("orders", server), source("twin", twin)]);
  const environment = { ...process.env, STILLPOINT_POSTGRES_BIN: server.binDirectory };
  const restore = (...words: string[]) =>
    commandIn(bench.directory, environment)("restore", "--plan", "shop", ...words, ...bench.where.slice(0, 4));

  const wrong = await restore("--to", at("none"), "--source", "orders", "--tablespace", "middling=/x");
  expect(wrong).toMatchObject({ code: 2, err: expect.stringContaining("there are fast, slow") });
  expect(await restore("--to", at("none"), "--tablespace", `fast=${at("ssd")}`)).toMatchObject({ code: 2 });
  const unknown = await restore(
    "--to",
    at("none"),
    "--source",
    "orders",
    "--at",
    "latest",
    "--tablespace",
    "middling=/x",
  );
  expect(unknown).toMatchObject({ code: 2, err: expect.stringContaining("there are fast, slow") });
  expect((await readdir(bench.directory)).filter((name) => ["none", "ssd"].includes(name))).toEqual([]);

  const done = await restore("--to", at("back"), "--source", "orders", "--tablespace", `fast=${at("ssd")}`);
  expect(done).toMatchObject({
    code: 0,
    err: expect.stringContaining(`tablespace fast, which was at ${at("fast")} → ${at("ssd")}`),
  });
  const spaces = at("back/orders/pg_tblspc");
  const links = await Promise.all(
    (await readdir(spaces)).map(async (name) => (await lstat(join(spaces, name))).isSymbolicLink()),
  );
  expect(links.sort()).toEqual([false, true]);
  expect(await restore("--to", at("both"))).toMatchObject({ code: 0 });
  expect(await readdir(at("both/orders/pg_tblspc"))).toHaveLength(2);
  expect(await readdir(at("both/twin/pg_tblspc"))).toEqual([]);
  expect((await readdir(at("ssd")))[0]).toMatch(/^PG_\d+_/);

  // Of a moment that this machine's own server recovers, where that server may run on it.
  await query("insert into on_fast select generate_series(1, 9)");
  await bench.seal([source("orders", server)], "018f0000-0000-7000-8000-000000000002");
  await mkdir(at("deep"));
  await chmod(bench.directory, 0o711);
  const moment = await restore(
    "--to",
    at("moment"),
    "--source",
    "orders",
    "--at",
    "latest",
    "--recover",
    "--tablespace",
    `fast=${at("deep/nvme")}`,
  );
  expect(moment, moment.err).toMatchObject({ code: 0, err: expect.stringContaining(`→ ${at("deep/nvme")}`) });
  expect((await readdir(at("deep/nvme")))[0]).toMatch(/^PG_\d+_/);
  const found = await askAlone(server.binDirectory, at("moment/orders"), "select count(*) as found from on_fast");
  expect(found).toBe("9");
});
