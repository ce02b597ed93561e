import { Secret } from "@stillpoint/contracts/secret";
import { type PostgresSource, postgresSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { waitFor } from "@stillpoint/testkit/wait-for";
import pg from "pg";

export type Server = {
  port: number;
  user: string;
  password: string;
  binDirectory: string;
  url(database?: string): string;
};

export function sourceOf(server: Server, more: { user?: string; database?: string } = {}): PostgresSource {
  const { user = server.user, database = "postgres" } = more;
  return postgresSource.parse({
    kind: "postgres",
    url: `postgres://${user}@127.0.0.1:${server.port}/${database}`,
    password: "${env:PASSWORD}",
  });
}

export function contextFor(
  server: Server,
  directory: string,
  signal: AbortSignal,
  more: { password?: string; openSandboxes?: boolean } = {},
): DriverContext {
  return {
    directory,
    signal,
    secret: () => new Secret(more.password ?? server.password),
    monotonicMs: () => performance.now(),
    now: () => Date.now(),
    log: () => undefined,
    tools: {
      postgresBin: server.binDirectory,
      serverUser: "postgres",
      ...(more.openSandboxes === undefined ? {} : { openSandboxes: more.openSandboxes }),
    },
  };
}

export async function connected(url: string): Promise<pg.Client & AsyncDisposable> {
  const client = new pg.Client({ connectionString: url });
  // A server that is stopped under a test's connection is no failure of the test.
  client.on("error", () => undefined);
  await client.connect();
  return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() });
}

/** Slots and connections of a capture. A server learns of a broken connection a moment later, hence the patience. */
export async function tracesOf(client: pg.Client): Promise<string[]> {
  let found: string[] = [];
  const none = async () => {
    const { rows } = await client.query<{ name: string }>(
      `select 'slot ' || slot_name as name from pg_replication_slots where slot_name like 'stillpoint%'
       union all select 'connection ' || pid from pg_stat_activity where application_name = 'stillpoint'`,
    );
    found = rows.map(({ name }) => name);
    return found.length === 0;
  };
  return await waitFor("the capture is gone from the server", none).then(
    () => [],
    () => found,
  );
}
