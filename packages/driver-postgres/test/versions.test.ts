import { chown, mkdir, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Sandbox } from "@stillpoint/driver/driver";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { walPositionOf } from "../src/log-position.ts";
import { parseLsn } from "../src/lsn.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import { notesOf } from "../src/requirements.ts";
import type { ServerFacts } from "../src/server-facts.ts";
import { captured, laidOut, started, verdictsOf } from "./captured.ts";
import { directorySink, gapsIn, heldIn } from "./directory-sink.ts";
import { recovered, takenBase } from "./recovering.ts";
import { shipOptions } from "./ship-options.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

/** One version that is not the machine's own; the soak asks for each of the others. */
const MAJOR = Number(process.env.STILLPOINT_TEST_POSTGRES ?? 18);

const sums = async (sandbox: Sandbox) =>
  await Array.fromAsync(
    sandbox.query({
      type: "statement",
      id: "s",
      text: "select count(*), sum(n) from kept union all select count(*), sum(n) from aside",
    }),
  );

test(`PostgreSQL ${MAJOR}: a point and a moment of the log come back, with a further tablespace, from a role that may only replicate`, async () => {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await ownPostgres({ major: MAJOR }));
  const root = resources.use(await temporaryDirectory("versions")).path;
  const client = resources.use(await connected(server.url()));
  const { signal } = new AbortController();
  const fresh = async (name: string) => {
    await mkdir(join(root, name));
    return join(root, name);
  };
  const context = async (name: string) => contextFor(server, await fresh(name), signal, { password: "secret" });
  const location = await fresh("place");
  const { uid, gid } = await stat(server.dataDirectory);
  await chown(location, uid, gid);
  await client.query("create role backup login replication password 'secret'");
  await client.query("grant execute on function pg_create_restore_point(text) to backup");
  await client.query(`create tablespace aside location '${location}'`);
  await client.query("create table kept (n int primary key); create table aside (n int primary key) tablespace aside");
  const write = async (n: number) =>
    void (await client.query(`insert into kept values (${n}); insert into aside values (${n})`));
  const source = sourceOf(server, { user: "backup" });
  await write(1);

  const it = await captured(source, await context("capture"), join(root, "point"), {
    duringBase: () => write(2),
    beforeMark: () => write(3),
    afterMark: () => write(4),
  });
  expect(it.capture.version).toContain(`PostgreSQL ${MAJOR}.`);
  expect(it.capture.runtime.id).toContain(`pg${MAJOR}-`);
  expect(it.mark.fuzzy).toBeUndefined();
  await laidOut(it);
  {
    await using sandbox = await started(it, await context("restored"));
    expect(await sums(sandbox)).toEqual([{ values: [3, 6] }, { values: [3, 6] }]);
    expect(Object.entries(await verdictsOf(sandbox)).filter(([, { verdict }]) => verdict === "fail")).toEqual([]);
  }

  const [base, shipped] = [join(root, "base"), await fresh("shipped")];
  const [stop, sink] = [new AbortController(), directorySink(shipped)];
  const shipping = postgresDriver.ship?.(source, shipOptions({ sink, stop: stop.signal }), await context("shipping"));
  await waitFor(
    "a slot is there",
    async () => (await client.query("select from pg_replication_slots")).rows.length > 0,
  );
  await takenBase(source, await context("basing"), base);
  await write(5);
  await client.query("select pg_switch_wal()");
  await write(6);
  const [{ lsn }] = (await client.query("select pg_current_wal_flush_lsn()::text as lsn")).rows;
  await waitFor("it is shipped", async () => {
    const held = await heldIn(shipped);
    return held !== undefined && walPositionOf(held).at >= parseLsn(lsn);
  });
  await write(7);
  stop.abort();
  await shipping;
  expect(await gapsIn(shipped)).toEqual([]);
  const target = { by: "lsn", at: parseLsn(lsn) } as const;
  await using sandbox = await recovered(
    { base, shipped, directory: join(root, "moment") },
    target,
    await context("recovered"),
  );
  expect(await sums(sandbox)).toEqual([{ values: [6, 21] }, { values: [6, 21] }]);
});

test("a server of a version that nobody tried is captured, and it is said", () => {
  const facts = {
    databases: [],
    settings: { shared_preload_libraries: "" },
    mayMark: true,
    mayReadAll: true,
    mayReplicate: true,
    user: "u",
  } as unknown as ServerFacts; // the fields that are looked at
  expect(notesOf(facts, 180_004, [])).toEqual([]);
  expect(notesOf(facts, 190_000, [])).toEqual([expect.stringContaining("PostgreSQL 19 is newer than")]);
});
