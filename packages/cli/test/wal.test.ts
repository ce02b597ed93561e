import { spawn } from "node:child_process";
import { once } from "node:events";
import { appendFile, chmod, copyFile, mkdir, readdir, readFile, rename, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { Secret } from "@stillpoint/contracts/secret";
import { postgresSource } from "@stillpoint/contracts/source";
import { accountOf } from "@stillpoint/driver/account";
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
import { askAlone, asServer } from "./ask-alone.ts";
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

  // The helper that stays beside the server, as its account.
  const account = process.getuid?.() === 0 ? await accountOf("postgres") : undefined;
  const as = await asServer();
  const own = async (path: string) => {
    if (account !== undefined) await run("chown", ["-R", `${account.uid}:${account.gid}`, path]);
  };
  await mkdir(at("beside"));
  await copyFile(at("token"), at("beside/token"));
  await own(at("beside"));
  const serve = async (more: Record<string, string>, ...words: string[]) => {
    const command = [...as, process.execPath, MAIN, "wal", "serve", "--directory", at("beside"), ...words];
    const [program = "", ...rest] = command;
    const { PATH, TMPDIR } = process.env;
    const env = { PATH, ...(TMPDIR === undefined ? {} : { TMPDIR }), HOME: at("beside"), ...more };
    const child = spawn(program, rest, { env, cwd: directory, stdio: ["ignore", "pipe", "inherit"] });
    const exited = once(child, "exit");
    const lines = createInterface({ input: child.stdout });
    opened.defer(async () => {
      child.kill("SIGTERM");
      await exited;
    });
    const [line] = (await Promise.race([once(lines, "line"), exited])) as [unknown]; // a line of its output, or no word
    const [, name = "", setting = ""] = /^(\w+) = '(.*)'$/.exec(String(line)) ?? [];
    return { name, setting };
  };
  const pushing = await serve({
    STILLPOINT_VAULT_URL: environment.STILLPOINT_VAULT_URL ?? "",
    STILLPOINT_WAL_TOKEN_FILE: at("beside/token"),
  });
  expect(pushing.name).toBe("archive_command");
  const archiving = { archive_mode: "on", archive_command: pushing.setting, restore_command: "exit 1" };
  const server = opened.use(await ownPostgres({ settings: { ...archiving, autovacuum: "off" } }));
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
  const last = await closed();
  const bytes = await readFile(join(server.dataDirectory, "pg_wal", last));
  await psql("insert into probe values (4)");

  // As after a fail-over: it goes on with a timeline of its own, in the middle of a segment.
  await server.stop();
  await writeFile(join(server.dataDirectory, "recovery.signal"), "");
  await own(join(server.dataDirectory, "recovery.signal"));
  await server.restart();
  await waitFor("it has been promoted", async () => (await psql("select pg_is_in_recovery()")) === "f");
  await psql("insert into probe values (5)");
  const later = await closed();
  expect(later.slice(0, 8)).toBe("00000002");
  await psql("insert into probe values (6)");
  await closed();
  expect(await psql("select failed_count from pg_stat_archiver")).toBe("0");

  const log = await stillpoint("log", ...of, ...where, "--json");
  expect(JSON.parse(log.out)).toMatchObject({ windows: [{ bases: ["base-1"] }], holes: [] });
  const rows = (data: string) =>
    askAlone(server.binDirectory, data, "select string_agg(n::text, '-' order by n) as found from probe");
  environment.STILLPOINT_POSTGRES_BIN = server.binDirectory;
  const recovered = ["restore", ...of, ...where, "--to", at("back"), "--at", "latest", "--recover", "--json"];
  const restored = await stillpoint(...recovered);
  expect(restored, restored.err).toMatchObject({ code: 0 });
  expect(JSON.parse(restored.out)).toMatchObject({ opened: true });
  expect(await rows(JSON.parse(restored.out).directory)).toBe("1-2-3-4-5-6");

  // Another machine, with a server that fetches by its own setting.
  await run("cp", ["-a", at("repository"), at("beside/repository")]);
  await copyFile(at("key"), at("beside/key"));
  {
    await using repository = await openRepository(store, { opener, threads: 0 });
    await mkdir(at("beside/data"), { mode: 0o700 });
    await repository.restoreFiles("base-1", at("beside/data"), { signal: never });
  }
  await writeFile(at("beside/data/recovery.signal"), "");
  await own(at("beside"));
  const fetching = await serve({}, ...of, "--repository", at("beside/repository"), "--key-file", at("beside/key"));
  expect(fetching.name).toBe("restore_command");
  const control = async (...words: string[]) => {
    const [program = "", ...rest] = [...as, join(server.binDirectory, "pg_ctl"), "-D", at("beside/data"), ...words];
    await run(program, rest, { cwd: at("beside/data") });
  };
  const theirs = [
    ["archive_mode", "off"],
    ["listen_addresses", ""],
    ["unix_socket_directories", at("beside")],
  ];
  const settingsText = [...theirs, [fetching.name, fetching.setting]].map(([name, value]) => `${name} = '${value}'\n`);
  await appendFile(at("beside/data/postgresql.auto.conf"), settingsText.join(""));
  await control("-w", "-l", at("beside/data/own.log"), "start");
  await waitFor("it has recovered", async () =>
    (await readFile(at("beside/data/own.log"), "utf8")).includes("archive recovery complete"),
  );
  await control("-w", "-m", "fast", "stop");
  expect(await rows(at("beside/data"))).toBe("1-2-3-4-5-6");

  // The same again is well; something else under its name is refused, and what is there stays.
  const again = at(last);
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
  // Of a later timeline too: where it came from, and its first segment, which begins with the one before.
  for (const name of ["00000002.history", later]) {
    expect(await stillpoint("wal", "fetch", name, at("fetched"), ...of, ...where)).toMatchObject({ code: 0 });
    expect((await readFile(at("fetched"))).equals(await readFile(join(server.dataDirectory, "pg_wal", name)))).toBe(
      true,
    );
  }
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
  expect(await stillpoint("wal", "push", again)).toMatchObject({
    code: 4,
    err: expect.stringContaining("revoked"),
  });
}, 180_000);
