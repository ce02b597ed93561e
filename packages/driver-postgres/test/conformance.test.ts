import { driverConformance } from "@stillpoint/driver/test/conformance";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { postgresDriver } from "../src/postgres-driver.ts";
import { connected, contextFor, sourceOf, tracesOf } from "./subject.ts";

driverConformance("postgres", async () => {
  await using resources = new AsyncDisposableStack();
  const server = resources.use(await ownPostgres());
  const client = resources.use(await connected(server.url()));
  await client.query("create table counter (n bigint primary key, payload text)");
  const moved = resources.move();
  const source = sourceOf(server);
  return {
    driver: postgresDriver,
    source,
    unreachable: { ...source, url: source.url.replace(`:${server.port}/`, ":1/") },
    context: (directory, signal) => contextFor(server, directory, signal),
    write: async (sequence) => {
      await client.query("insert into counter values ($1, repeat('x', 100))", [sequence]);
    },
    highest: "counter.n",
    traces: () => tracesOf(client),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
});
