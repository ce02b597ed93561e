import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, chown, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { Secret } from "@stillpoint/contracts/secret";
import { postgresSource } from "@stillpoint/contracts/source";
import { accountOf } from "@stillpoint/driver/account";
import { servePush } from "@stillpoint/driver-postgres/archive/serve-push";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository } from "@stillpoint/repository/repository";
import { ownNats } from "@stillpoint/testkit/nats";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { startService } from "@stillpoint/testkit/service-process";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, it } from "vitest";
import { pushSettings } from "../src/wal/push-settings.ts";
import { pushFile } from "../src/wal/wal-push.ts";
import { commandIn } from "./command-in.ts";
import { run } from "./export-fixture.ts";
import { storeBackup } from "./store-backup.ts";

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));
const never = new AbortController().signal;

it("a server without a slot gives its WAL by archive_command, and comes back to a moment of it; its token only ever adds", async () => {
  await using opened = new AsyncDisposableStack();
  const directory = opened.use(await temporaryDirectory("cli-wal")).path;
  await chmod(directory, 0o711); // the server runs as an account of its own, and passes through
  const at = (name: string) => join(directory, name);
  const where = ["--repository", at("repository"), "--key-file", at("key")];
  const of = ["--plan", "shop", "--source", "orders"];
  const nats = opened.use(await ownNats());
  const environment: Record<string, string> = {
    ...(process.env as Record<string, string>),
    STILLPOINT_NATS_URL: nats.url,
  };
  const stillpoint = (...words: string[]) => commandIn(directory, environment)(...words);
  expect(await stillpoint("repo", "init", "--new-identity", ...where)).toMatchObject({ code: 0 });
  const settings = {
    STILLPOINT_NATS_URL: nats.url,
    STILLPOINT_REPOSITORY: at("repository"),
    STILLPOINT_KEY_FILE: at("key"),
    STILLPOINT_VAULT_PORT: "0",
    STILLPOINT_VAULT_DIRECTORY: at("vault"),
  };
  opened.use(await startService("vault", settings));

  const minted = await stillpoint("wal", "token", ...of, "--file", at("token"), "--json");
  expect(minted, minted.err).toMatchObject({ code: 0 });
  expect((await stat(at("token"))).mode & 0o777).toBe(0o600);
  expect(minted.out).not.toContain((await readFile(at("token"), "utf8")).trim());
  expect((await stillpoint("wal", "token", ...of, "--file", at("token"))).code).not.toBe(0);
  environment.STILLPOINT_VAULT_URL = JSON.parse(minted.out).vaultUrl;
  environment.STILLPOINT_WAL_TOKEN_FILE = at("token");

  // The helper that stays, and its client, which the server starts.
  const failures: unknown[] = [];
  const pushed: string[] = [];
  const to = await pushSettings({ environment });
  const account = process.getuid?.() === 0 ? await accountOf("postgres") : undefined;
  const push = async (path: string) => {
    pushed.push(`${path.split("/").at(-1)}`);
    await pushFile(to, path, never);
  };
  const home = at("push");
  opened.use(
    await servePush({
      directory: home,
      push,
      atOnce: 3,
      ahead: 8,
      account,
      failed: (_, error) => failures.push(error),
    }),
  );
  const archiving = { archive_mode: "on", archive_command: `sh ${home}/push %p %f`, autovacuum: "off" };
  const server = opened.use(await ownPostgres({ settings: archiving }));
  const psql = async (text: string) => {
    const env = { ...process.env, PGPASSWORD: server.password };
    const words = ["-h", server.host, "-p", String(server.port), "-U", server.user, "-AtXq", "-c", text, "postgres"];
    return (await run(join(server.binDirectory, "psql"), words, { env })).stdout.trim();
  };
  const archived = async (name: string) =>
    await waitFor(
      `${name} is archived`,
      async () => (await psql("select last_archived_wal from pg_stat_archiver")) >= name,
      60_000,
    );
  const closed = async () => {
    const name = await psql("select pg_walfile_name(pg_current_wal_lsn())");
    await psql("select pg_switch_wal()");
    await archived(name);
    return name;
  };

  await psql("create table probe (n int primary key); insert into probe values (1)");
  const store = opened.use(await openObjectStore(at("repository"), { environment: {} }));
  const opener = await configuredOpener({ keyFile: at("key") }, {});
  {
    await using repository = await openRepository(store, { opener, threads: 0 });
    const url = `postgres://${server.user}@127.0.0.1:${server.port}/postgres`;
    const spec = postgresSource.parse({ kind: "postgres", url, password: "${env:P}" });
    await mkdir(at("capture"));
    const context = {
      directory: at("capture"),
      signal: never,
      secret: () => new Secret(server.password),
      monotonicMs: () => performance.now(),
      now: Date.now,
      log: () => undefined,
      tools: {},
    };
    await using captured = await postgresDriver.open(spec, context);
    await storeBackup(
      repository,
      { source: "orders", spec },
      "base-1",
      "full",
      async (tree) => await captured.base(tree),
    );
  }
  await psql("insert into probe values (2)");
  await closed();
  await psql("insert into probe values (3)");
  const xid = await psql("begin; insert into probe values (4); select pg_current_xact_id(); commit");
  const last = await closed();
  await psql("insert into probe values (5)");
  await closed();
  expect(failures).toEqual([]);
  // Each file once, though it was pushed ahead and asked for.
  expect(new Set(pushed).size).toBe(pushed.length);
  expect(pushed.some((line) => line.endsWith(".backup"))).toBe(true);

  const log = await stillpoint("log", ...of, ...where, "--json");
  expect(JSON.parse(log.out)).toMatchObject({ windows: [{ bases: ["base-1"] }], holes: [] });
  environment.STILLPOINT_POSTGRES_BIN = server.binDirectory;
  const restored = await stillpoint(
    "restore",
    ...of,
    ...where,
    "--to",
    at("back"),
    "--at",
    `tx:${xid}`,
    "--exclusive",
    "--recover",
    "--json",
  );
  expect(restored, restored.err).toMatchObject({ code: 0 });
  const { directory: data, opened: isOpened } = JSON.parse(restored.out);
  expect(isOpened).toBe(true);
  const single = ["--single", "-D", data, "-c", "exit_on_error=on", "postgres"];
  const asServer =
    account === undefined ? [] : ["setpriv", `--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"];
  const [program = "", ...words] = [...asServer, join(server.binDirectory, "postgres"), ...single];
  const alone = spawn(program, words, { cwd: data, stdio: ["pipe", "pipe", "inherit"] });
  alone.stdin.end("select string_agg(n::text, '-' order by n) as found from probe\n");
  const said = (await Array.fromAsync(alone.stdout)).join("");
  expect(said).toContain('found = "1-2-3"');

  // The same again is well; something else under its name is refused, and what is there stays.
  const again = at(last);
  const bytes = await readFile(join(server.dataDirectory, "pg_wal", last));
  await writeFile(again, bytes);
  expect(await stillpoint("wal", "push", again)).toMatchObject({ code: 0 });
  bytes.writeUInt8((bytes[5_000_000] ?? 0) ^ 1, 5_000_000);
  await writeFile(again, bytes);
  expect(await stillpoint("wal", "push", again)).toMatchObject({
    code: 6,
    err: expect.stringContaining("other bytes"),
  });

  // Fetched, it is what was pushed first; and only what is not there is answered with 1.
  const fetched = await stillpoint("wal", "fetch", last, at("fetched"), ...of, ...where);
  expect(fetched, fetched.err).toMatchObject({ code: 0 });
  bytes.writeUInt8((bytes[5_000_000] ?? 0) ^ 1, 5_000_000);
  expect((await readFile(at("fetched"))).equals(bytes)).toBe(true);
  const exitOf = async (...args: string[]) => {
    const child = spawn(process.execPath, [MAIN, "wal", ...args], { env: environment, stdio: "ignore" });
    return (await once(child, "exit"))[0] as number; // what the event is declared to bring
  };
  expect(await exitOf("fetch", "00000009.history", at("none"), ...of, ...where)).toBe(1);
  await rename(at("repository"), at("away"));
  expect(await exitOf("fetch", last, at("none"), ...of, ...where)).toBeGreaterThanOrEqual(126);
  await rename(at("away"), at("repository"));
  expect(await readdir(directory)).not.toContain("none");

  expect(await exitOf("push", again.replace(last, "nothing"))).toBeGreaterThan(0);
  expect(await stillpoint("wal", "revoke", ...of)).toMatchObject({ code: 0 });
  expect(await stillpoint("wal", "push", at("fetched").replace("fetched", last))).toMatchObject({
    code: 4,
    err: expect.stringContaining("revoked"),
  });
  if (account !== undefined) await chown(home, 0, 0);
}, 180_000);
