import { StillpointError } from "@stillpoint/contracts/errors";
import type { PostgresSource } from "@stillpoint/contracts/source";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test, vi } from "vitest";
import { postgresDriver } from "../src/postgres-driver.ts";
import { checkRequirements, checkVersion } from "../src/requirements.ts";
import type { ServerFacts } from "../src/server-facts.ts";
import { captured, laidOut, started, verdictsOf } from "./captured.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let client: Awaited<ReturnType<typeof connected>>;
const never = new AbortController().signal;

beforeAll(async () => {
  server = resources.use(await ownPostgres());
  root = resources.use(await temporaryDirectory("rights")).path;
  client = resources.use(await connected(server.url()));
});
afterAll(async () => await resources.disposeAsync());

async function refusal(source: PostgresSource, password?: string): Promise<StillpointError> {
  const context = contextFor(server, root, never, password === undefined ? {} : { password });
  const error: unknown = await postgresDriver.open(source, context).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (error instanceof StillpointError) return error;
  throw new Error(`it was not refused: ${String(error)}`);
}

test("a wrong password is SOURCE_DENIED, and is told to nobody", async () => {
  const error = await refusal(sourceOf(server), "a-wrong-password");
  expect(error).toMatchObject({
    code: "SOURCE_DENIED",
    why: expect.stringContaining("password authentication failed"),
  });
  expect(JSON.stringify([error.toBody(), error.message, error.stack])).not.toContain("a-wrong-password");
});

test("where the plan gives no password, none is taken from the environment", async () => {
  vi.stubEnv("PGPASSWORD", server.password);
  const { password: _, ...source } = sourceOf(server);
  expect(await refusal(source)).toMatchObject({ code: "SOURCE_DENIED", hint: expect.stringContaining("password:") });
  vi.unstubAllEnvs();
});

test("a database that does not exist is told apart from a server that does not answer", async () => {
  expect(await refusal(sourceOf(server, { database: "nowhere" }))).toMatchObject({ code: "SOURCE_UNSUPPORTED" });
});

test("a user without rights is told the lines that give them, and they do", async () => {
  await client.query("create role \"back up\" login password 'secret'");
  const source = sourceOf(server, { user: "back%20up" });
  const error = await refusal(source, "secret");
  expect(error).toMatchObject({ code: "SOURCE_DENIED", why: expect.stringContaining("back up") });
  const lines = error.hint?.match(/(ALTER|GRANT)[^;]+;/g) ?? [];
  expect(lines).toEqual([
    'ALTER ROLE "back up" REPLICATION;',
    'GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO "back up";',
    'GRANT pg_read_all_data TO "back up";',
    'GRANT pg_read_all_settings TO "back up";',
  ]);
  for (const line of lines) await client.query(line);
  await using capture = await postgresDriver.open(source, contextFor(server, root, never, { password: "secret" }));
  expect(capture.description.notes).toEqual([]);
});

test("without the right to create restore points a point is fuzzy, says why, and restores to its position while writers go on", async () => {
  await client.query("create role plain login replication password 'secret'; create table t (n int primary key)");
  const context = (directory: string) => contextFor(server, directory, never, { password: "secret" });
  const source = sourceOf(server, { user: "plain" });
  let written = 0;
  let writing = true;
  const write = async () => {
    for (; writing; written += 1) await client.query("insert into t values ($1)", [written + 1]);
  };
  const acknowledged = { before: 0, after: 0 };
  const writer = Promise.withResolvers<void>();
  const it = await captured(source, context(root), `${root}/fuzzy`, {
    async duringBase() {
      void write().then(writer.resolve, writer.reject);
      await waitFor("rows are written", () => written > 10);
    },
    async beforeMark() {
      acknowledged.before = written;
    },
    async afterMark() {
      acknowledged.after = written;
      await waitFor("more rows are written", () => written > acknowledged.after + 10);
      writing = false;
      await writer.promise;
    },
  });
  expect(it.mark.fuzzy).toContain("restore points");
  expect(it.capture.notes.join(" ")).toContain('GRANT EXECUTE ON FUNCTION pg_create_restore_point(text) TO "plain";');
  await laidOut(it);
  const own = resources.use(await temporaryDirectory("fuzzy")).path;
  await using sandbox = await started(it, context(own));
  const [found] = await Array.fromAsync(sandbox.query({ type: "max", id: "m", of: "t.n" }));
  const max = found !== undefined && "max" in found ? (found.max ?? 0) : 0;
  expect(max).toBeGreaterThanOrEqual(acknowledged.before);
  // The one that was under way when the mark was answered may have been in the WAL already.
  expect(max).toBeLessThanOrEqual(acknowledged.after + 1);
  const { "recovered to the mark": recovered } = await verdictsOf(sandbox);
  expect(recovered).toMatchObject({ verdict: "pass", detail: expect.stringContaining("before WAL location") });
});

test("what cannot be captured is refused with the reason: an old version, a standby, too little WAL", () => {
  expect(() => checkVersion(120_022, "db")).toThrow(/13 is the oldest/);
  expect(() => checkVersion(130_000, "db")).not.toThrow();
  const facts = { mayReplicate: true, inRecovery: false, settings: { wal_level: "replica" } } as unknown as ServerFacts; // the fields that are looked at
  expect(() => checkRequirements(facts, "db")).not.toThrow();
  expect(() => checkRequirements({ ...facts, inRecovery: true }, "db")).toThrow(/standby/);
  expect(() => checkRequirements({ ...facts, settings: { wal_level: "minimal" } }, "db")).toThrow(/wal_level/);
});
