import { rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { placeOf } from "@stillpoint/driver-postgres/log-position";
import { parseLsn } from "@stillpoint/driver-postgres/lsn";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { unprivilegedUser } from "@stillpoint/parts/server-user";
import { Client } from "pg";
import type { Probe, WrittenStore } from "./probes.ts";

const TABLES = `
  create table probe (n bigint primary key);
  create table account (id int primary key, balance bigint not null);
  insert into account select generate_series(1, 100), 0;
  create table filler (id int primary key, words text not null);
  insert into filler select n, repeat(md5(random()::text), 40) from generate_series(1, 2000) n`;
const ROWS = 2_000;

export type PostgresLoad = {
  /** Between two rows of the probe. */
  everyMs: number;
  /** Rows of 1.3 kB that each of them changes beside it. */
  changes: number;
  settings: Record<string, string>;
  /** More writers beside the one with the probe, each as fast as it gets its answers: money moves between any two accounts. */
  others?: number;
};

/** Always in the order of their ids, so that no two wait for each other. */
function transfer(n: number): string {
  const [from, to] = [1 + ((n * 7) % 50), 51 + ((n * 3) % 50)];
  return `begin;
    update account set balance = balance - ${1 + (n % 9)} where id = ${from};
    update account set balance = balance + ${1 + (n % 9)} where id = ${to};
    commit`;
}

export type WrittenPostgres = WrittenStore & {
  url: string;
  environment: Record<string, string>;
  pid: () => number;
};

/** A PostgreSQL of our own, and one writer. */
export async function startWrittenPostgres(
  directory: string,
  partsDirectory: string,
  { everyMs, changes, settings, others = 0 }: PostgresLoad,
): Promise<WrittenPostgres> {
  const part = await ensurePostgres({ directory: partsDirectory });
  const own = join(directory, "postgres");
  const server = await startPostgres({ part, dir: own, settings });
  const stop = new AbortController();
  const acked: Probe[] = [];
  let underWay: { n: number; beganMs: number } | undefined;
  let broken: string | undefined;
  let isLost = false;

  const open = async () => {
    const client = new Client({ connectionString: server.url() });
    client.on("error", () => undefined); // the query under way says it
    await client.connect();
    return client;
  };
  const first = await open();
  await first.query(TABLES);
  await first.end();

  const write = async (client: Client, n: number) => {
    const beganMs = Date.now();
    underWay = { n, beganMs };
    const [from, to] = [1 + (n % 50), 51 + (n % 50)];
    const least = (n * changes) % ROWS;
    await client.query(`begin;
      insert into probe values (${n}) on conflict do nothing;
      update account set balance = balance - ${n % 7} where id = ${from};
      update account set balance = balance + ${n % 7} where id = ${to};
      update filler set words = repeat(md5(random()::text || id::text), 40) where id > ${least} and id <= ${least + changes};
      commit`);
    acked.push({ n, beganMs, ackedMs: Date.now() });
    underWay = undefined;
  };
  const writing = (async () => {
    let client: Client | undefined;
    while (!stop.signal.aborted && !isLost) {
      try {
        client ??= await open();
        await write(client, acked.length + 1);
      } catch (error) {
        // A server that was killed: the same row again once it is back.
        client?.end().catch(() => undefined);
        client = undefined;
        if (!isLost) await wait(100);
        broken = error instanceof Error ? error.message : String(error);
        continue;
      }
      broken = undefined;
      await wait(everyMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
    await client?.end().catch(() => undefined);
  })();

  const moving = Array.from({ length: others }, async (_, other) => {
    let client: Client | undefined;
    for (let n = other; !stop.signal.aborted && !isLost; n += others) {
      try {
        client ??= await open();
        await client.query(transfer(n));
      } catch {
        // Killed, or waiting for one that waits for it: money moves in one step or not at all.
        client?.end().catch(() => undefined);
        client = undefined;
        await wait(100);
      }
    }
    await client?.end().catch(() => undefined);
  });

  const user = await unprivilegedUser();
  return {
    source: "orders",
    kind: "postgres",
    url: `postgres://${server.user}@${server.host}:${server.port}/postgres`,
    environment: {
      SOAK_POSTGRES_PASSWORD: server.password,
      STILLPOINT_POSTGRES_BIN: part.binDirectory,
      ...(user === undefined ? {} : { STILLPOINT_SERVER_USER: user.name }),
    },
    pid: () => server.pid,
    probes: () => ({ acked: [...acked], underWay }),
    broken: () => broken,
    async place() {
      const client = await open();
      try {
        const { rows } = await client.query("select pg_current_wal_flush_lsn()::text as lsn");
        return placeOf(parseLsn(String(rows[0]?.lsn)));
      } finally {
        await client.end();
      }
    },
    async lose() {
      isLost = true;
      await server.kill();
      await rm(own, { recursive: true, force: true });
    },
    async crash() {
      await server.kill();
      await rm(join(server.dataDirectory, "postmaster.pid"), { force: true });
      await server.restart();
    },
    async [Symbol.asyncDispose]() {
      stop.abort();
      await Promise.allSettled([writing, ...moving, server.stop()]);
    },
  };
}
