import { execFile } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { postgresDriver } from "../src/postgres-driver.ts";
import { type Captured, captured, laidOut, started, verdictsOf } from "./captured.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
const never = new AbortController().signal;
let publisher: Awaited<ReturnType<typeof ownPostgres>>;
let atPublisher: Awaited<ReturnType<typeof connected>>;
let root: string;
let archive: string;
let original: Captured;
let addresses: string[];

/**
 * The source subscribes to a publisher and archives its WAL. After its capture it is stopped, so that whatever touches
 * the slot or the archive from then on is a copy of it; and the publisher has changes waiting.
 */
beforeAll(async () => {
  root = resources.use(await temporaryDirectory("silence")).path;
  archive = join(root, "archive");
  await mkdir(archive);
  await chmod(archive, 0o777);
  publisher = resources.use(await ownPostgres({ settings: { wal_level: "logical" } }));
  atPublisher = resources.use(await connected(publisher.url()));
  await atPublisher.query("create table event (n int primary key); create publication everything for table event");
  const source = resources.use(
    await ownPostgres({ settings: { archive_mode: "on", archive_command: `cp %p ${archive}/%f` } }),
  );
  {
    await using atSource = await connected(source.url());
    await atSource.query("create table event (n int primary key)");
    const { port, user, password } = publisher;
    const at = `host=127.0.0.1 port=${port} user=${user} password=${password} dbname=postgres`;
    await atSource.query(`create subscription everything connection '${at}' publication everything`);
    await atPublisher.query("insert into event values (1)");
    await waitFor("the subscription works", async () => (await atSource.query("select from event")).rowCount === 1);
    await mkdir(join(root, "capture"));
    original = await captured(
      sourceOf(source),
      contextFor(source, join(root, "capture"), never),
      join(root, "original"),
    );
  }
  addresses = [
    ...postgresDriver.addresses(sourceOf(publisher)),
    `unix:${publisher.socketDirectory}/.s.PGSQL.${publisher.port}`,
  ];
  await source.stop();
  await waitFor("the slot is free", async () => (await slot()).active === false);
  await atPublisher.query("insert into event values (2)");
  await laidOut(original);
});
afterAll(async () => await resources.disposeAsync());

async function slot() {
  const { rows } = await atPublisher.query(
    "select active, confirmed_flush_lsn, restart_lsn from pg_replication_slots where slot_name = 'everything'",
  );
  return rows[0];
}

async function rehearse(
  name: string,
  openSandboxes: boolean,
  spoil: (directory: string) => Promise<void> = async () => {},
) {
  const directory = join(root, name);
  await promisify(execFile)("cp", ["-a", original.directory, directory]);
  await spoil(directory);
  await mkdir(`${directory}-context`);
  const context = contextFor(publisher, `${directory}-context`, never, { openSandboxes });
  return await started({ ...original, directory }, context);
}

const statement = (text: string) => ({ type: "statement", id: "s", text }) as const;

test("a rehearsal of a subscriber that archives takes no slot, archives nothing and connects nowhere", async () => {
  const before = { slot: await slot(), archived: await readdir(archive) };
  expect(before.archived.length).toBeGreaterThan(0);
  await using sandbox = await rehearse("silent", false);
  await Array.fromAsync(sandbox.query(statement("select pg_switch_wal()")));
  const verdicts = await verdictsOf(sandbox);
  expect(Object.entries(verdicts).filter(([, { verdict }]) => verdict !== "pass")).toEqual([]);
  expect(await Array.fromAsync(sandbox.query(statement("select count(*) from event")))).toEqual([{ values: [1] }]);
  const probed = await sandbox.probeEgress(addresses);
  expect(probed.map(({ reached }) => reached)).toEqual(addresses.map(() => false));
  expect({ slot: await slot(), archived: await readdir(archive) }).toEqual(before);
});

test("in the open the probe says so, and the copy's settings alone keep the slot and the archive as they are", async () => {
  const before = { slot: await slot(), archived: await readdir(archive) };
  await using sandbox = await rehearse("open", true);
  await Array.fromAsync(sandbox.query(statement("select pg_switch_wal()")));
  await verdictsOf(sandbox);
  const probed = await sandbox.probeEgress(addresses);
  expect(probed.map(({ reached }) => reached)).toEqual(addresses.map(() => true));
  expect({ slot: await slot(), archived: await readdir(archive) }).toEqual(before);
});

test("the same copy with the source's settings would take the slot: what is shown above can fail", async () => {
  const before = await slot();
  await using sandbox = await rehearse("loud", true, async (directory) => {
    const path = join(directory, "postgresql.conf");
    const text = await readFile(path, "utf8");
    const loud = "max_logical_replication_workers = 4\narchive_mode = on\narchive_command = 'true'\n";
    await writeFile(path, text + loud);
  });
  await waitFor(
    "the copy has taken the slot",
    async () => (await slot()).confirmed_flush_lsn !== before.confirmed_flush_lsn,
  );
  const { "archiver, replication and jobs": row } = await verdictsOf(sandbox);
  expect(row).toMatchObject({ verdict: "fail", detail: expect.stringContaining("logical replication") });
});
