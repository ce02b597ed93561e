import { setTimeout as wait } from "node:timers/promises";
import { defineAgent } from "@stillpoint/agent/define-agent";
import { shipSource } from "@stillpoint/contracts/commands";
import { type PostgresSource, postgresSource } from "@stillpoint/contracts/source";
import { vaultLog } from "@stillpoint/contracts/vault";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { waitFor } from "@stillpoint/testkit/wait-for";
import pg from "pg";
import { expect, test } from "vitest";
import { bodiesOf, type LogInstallation, logInstallation } from "./fixtures/log-installation.ts";

const of = { plan: "shop", source: "orders" };

/** Everything that is held of the log, wherever it is. */
async function heldBytes(installation: LogInstallation): Promise<Buffer> {
  await using repository = await installation.repository();
  const { closed, tails } = await repository.sourceLog(of);
  const read = [
    ...closed.map(({ backupId }) => bodiesOf(repository, backupId)),
    ...tails.map(async ({ id }) => (await repository.readTail(id))?.bytes ?? Buffer.alloc(0)),
  ];
  return Buffer.concat(await Promise.all(read));
}

test("PostgreSQL's WAL is shipped through a killed agent without a hole, and its slot goes when its plan says off", async () => {
  await using server = await ownPostgres({ settings: { wal_level: "replica" } });
  await using installation = await logInstallation();
  const client = new pg.Client({ connectionString: server.url() });
  client.on("error", () => undefined);
  await client.connect();
  await using cleaning = new AsyncDisposableStack();
  cleaning.defer(() => client.end());
  await client.query("create table event (note text)");
  const slots = async () => (await client.query("select 1 from pg_replication_slots")).rows.length;
  const url = `postgres://${server.user}@127.0.0.1:${server.port}/postgres`;
  const spec = postgresSource.parse({
    kind: "postgres",
    url,
    password: "${env:PG_SECRET}",
    ship: { flush: "200ms" },
  });
  const accept = (ship: PostgresSource["ship"]) =>
    installation.plans.put("shop", {
      plan: "shop",
      revision: "a".repeat(64),
      definition: { sources: { orders: { ...spec, ship } } },
      acceptedAt: new Date().toISOString(),
    });
  await accept(spec.ship);
  const subject = { kind: "postgres", site: "default", ...of };
  await installation.bus.publishCommand(
    shipSource,
    subject,
    { ...of, revision: "a".repeat(64), spec },
    { messageId: "shop:orders" },
  );

  const secret = { PG_SECRET: server.password };
  await using first = await installation.agentProcess("agent-postgres", secret);
  const held = () => installation.bus.request(vaultLog, {}, of, { timeoutMs: 30_000 });
  await waitFor("something is held", async () => (await held()).held !== undefined);
  const notes: string[] = [];
  const write = async () => {
    const note = `note-${notes.length}-${crypto.randomUUID()}`;
    await client.query("insert into event values ($1)", [note]);
    notes.push(note);
  };
  const untilHeld = (note: string) =>
    waitFor(`${note} is held`, async () => (await heldBytes(installation)).includes(note));
  await write();
  await untilHeld(notes[0] ?? "");
  let isWriting = true;
  const writing = (async () => {
    for (; isWriting; await wait(20)) await write();
  })();
  await first.kill();
  await client.query("select pg_switch_wal()");
  await using _second = await installation.agent(defineAgent(postgresDriver), secret);
  await waitFor("it writes under the second", () => notes.length > 50);
  isWriting = false;
  await writing;
  await write();
  await untilHeld(notes.at(-1) ?? "");
  const bytes = await heldBytes(installation);
  expect(notes.filter((note) => !bytes.includes(note))).toEqual([]);
  expect((await held()).holes).toEqual([]);

  expect(await slots()).toBe(1);
  await accept("off");
  await waitFor(
    "the command is done",
    async () => (await installation.bus.readCommand(shipSource, subject)) === undefined,
  );
  expect(await slots()).toBe(0);
});
