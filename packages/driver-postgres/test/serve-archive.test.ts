import { execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { cp, mkdir, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget } from "@stillpoint/contracts/log";
import type { LogPiece } from "@stillpoint/driver/recover";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { ARCHIVE_COMMAND, ARCHIVE_PATH } from "../src/archive/archive-client.ts";
import { recoverServed, type ServedRecovery } from "../src/archive/recover-served.ts";
import { type Archive, serveArchive } from "../src/archive/serve-archive.ts";
import { parseBaseFacts } from "../src/base-facts.ts";
import { logRangeOf, walPositionOf } from "../src/log-position.ts";
import { parseLsn, segmentStart } from "../src/lsn.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import { directorySink, heldIn, piecesIn } from "./directory-sink.ts";
import { takenBase } from "./recovering.ts";
import { shipOptions } from "./ship-options.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const run = promisify(execFile);
const resources = new AsyncDisposableStack();
afterAll(async () => await resources.disposeAsync());
const never = new AbortController().signal;

let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
/** A log of some segments with a row in each, and what stood when each row was in. */
const moments: { n: number; lsn: string }[] = [];
let directories = 0;
const fresh = async (name: string) => {
  directories += 1;
  const path = join(root, `${name}-${directories}`);
  await mkdir(path, { mode: 0o755 });
  return path;
};

beforeAll(async () => {
  server = resources.use(await ownPostgres());
  root = resources.use(await temporaryDirectory("served")).path;
  await run("chmod", ["755", root]);
  await using client = await connected(server.url());
  const shipped = join(root, "shipped");
  await mkdir(shipped);
  const stop = new AbortController();
  const shipping = postgresDriver.ship?.(
    sourceOf(server),
    shipOptions({ owner: "served", sink: directorySink(shipped), stop: stop.signal }),
    contextFor(server, await fresh("ship"), never),
  );
  await waitFor("it is shipped", async () => (await heldIn(shipped)) !== undefined);
  await takenBase(sourceOf(server), contextFor(server, await fresh("base-own"), never), join(root, "base"));
  await client.query("create table probe (n int primary key)");
  for (let n = 1; n <= 12; n += 1) {
    await client.query("insert into probe values ($1)", [n]);
    const { rows } = await client.query("select pg_current_wal_flush_lsn()::text as lsn");
    moments.push({ n, lsn: rows[0].lsn });
    if (n < 12) await client.query("select pg_switch_wal()");
  }
  const last = parseLsn(moments.at(-1)?.lsn ?? "");
  await waitFor("all is shipped", async () => {
    const held = await heldIn(shipped);
    return held !== undefined && walPositionOf(held).at >= last;
  });
  stop.abort();
  await shipping;
});

/** What was shipped, as a repository gives it; `unlessCut` may throw. */
async function logOf(unlessCut: (name: string) => void = () => undefined): Promise<LogPiece[]> {
  const all = await piecesIn(join(root, "shipped"));
  const isIn = (outer: (typeof all)[number], { range }: (typeof all)[number]) =>
    outer.kind === "closed" && outer.range.from <= range.from && range.to <= outer.range.to;
  const needed = all.filter((each) => each.kind === "closed" || !all.some((other) => isIn(other, each)));
  return needed.map(({ kind, range, path }): LogPiece => {
    if (kind === "tail")
      return {
        type: "tail",
        range,
        read: async () => {
          unlessCut("a tail");
          return await readFile(path);
        },
      };
    const extract = async (directory: string, file = "pg_wal") => {
      unlessCut(file);
      await mkdir(dirname(join(directory, file)), { recursive: true });
      await cp(join(path, file), join(directory, file), { recursive: true }).catch((error: unknown) => {
        throw new StillpointError("NOT_FOUND", { what: "There is no such path", where: file, cause: error });
      });
    };
    return { type: "closed", range, extract };
  });
}

async function recovery(
  directory: string,
  log: LogPiece[],
  target: LogTarget,
  more: Partial<ServedRecovery> = {},
  signal = never,
) {
  const facts = parseBaseFacts(await readFile(join(directory, "stillpoint/base.json"), "utf8"));
  const base = logRangeOf(facts.timeline, segmentStart(facts.start, facts.segmentBytes), facts.end);
  const cutId = "01900000-0000-7000-8000-000000000001";
  const context = contextFor(server, await fresh("own"), signal, { openSandboxes: true });
  return await recoverServed({ directory, base, log, target, cutId, action: "promote", ...more }, context);
}

async function copyOfBase(): Promise<string> {
  const directory = await fresh("restored");
  await run("cp", ["-a", `${join(root, "base")}/.`, directory]);
  return directory;
}

const controlOf = async (directory: string) =>
  (await run(join(server.binDirectory, "pg_controldata"), [directory], { env: { LC_ALL: "C" } })).stdout;

/** The rows that a server finds which is started on the directory by hand, as a person would. */
async function rowsIn(directory: string): Promise<number[]> {
  const account = ["--reuid=postgres", "--regid=postgres", "--clear-groups"];
  const asServer = (program: string, ...args: string[]) => {
    const path = join(server.binDirectory, program);
    return process.getuid?.() === 0 ? run("setpriv", [...account, path, ...args]) : run(path, args);
  };
  await asServer("pg_ctl", "-D", directory, "-w", "-l", join(directory, "own.log"), "start");
  try {
    const { stdout } = await asServer(
      "psql",
      "-h",
      directory,
      "-U",
      server.user,
      "-AtXqc",
      "select n from probe order by n",
      "postgres",
    );
    return stdout.trim().split("\n").map(Number);
  } finally {
    await asServer("pg_ctl", "-D", directory, "-m", "immediate", "stop");
  }
}
const upTo = (n: number) => moments.slice(0, n).map((moment) => moment.n);

test("a base is recovered to a position with the log fetched as it goes, and the directory is ready", async () => {
  const directory = await copyOfBase();
  const fetched = new Set<string>();
  const log = await logOf((name) => void fetched.add(name));
  const taken = new Set<string>();
  const at = moments[4]?.lsn ?? "";
  const ended = await recovery(
    directory,
    log,
    { by: "position", at, inclusive: false },
    { taken: (name) => void taken.add(name) },
  );
  expect(ended).toMatchObject({
    opened: true,
    recovered: expect.stringContaining("recovery stopping before WAL location"),
  });
  expect(await controlOf(directory)).toMatch(/cluster state: +shut down\n/);
  expect(await rowsIn(directory)).toEqual(upTo(5));
  // Ahead, and no further: what lies behind the target by more than that is never read.
  expect(taken.size).toBeGreaterThan(4);
  expect(fetched.size).toBeLessThanOrEqual(taken.size + 8);
  expect(await readdir(join(directory, "stillpoint"))).not.toContain("archive");
});

test("an object store that goes away ends recovery without opening, and once it is back recovery goes on to the end of the log", async () => {
  const directory = await copyOfBase();
  let isCut = false;
  let asked = 0;
  const log = await logOf(() => {
    if (isCut) {
      asked += 1;
      throw new StillpointError("STORE_UNREACHABLE", { what: "The object store does not answer" });
    }
  });
  let taken = 0;
  const cut = recovery(
    directory,
    log,
    { by: "latest" },
    {
      patienceMs: 300,
      taken: () => {
        taken += 1;
        isCut = taken >= 2;
      },
    },
  );
  await expect(cut).rejects.toMatchObject({ code: "STORE_UNREACHABLE", what: expect.stringContaining("did not open") });
  expect(asked).toBeGreaterThan(1);
  expect(await controlOf(directory)).toMatch(/cluster state: +in archive recovery\n/);
  const timelines = async () => (await readdir(join(directory, "pg_wal"))).filter((name) => name.endsWith(".history"));
  expect(await timelines()).toEqual([]);
  expect(await readdir(directory)).toContain("recovery.signal");
  // Nor does it when a person starts a server on what was left.
  await expect(rowsIn(directory)).rejects.toThrow();
  expect(await timelines()).toEqual([]);

  isCut = false;
  const ended = await recovery(directory, log, { by: "latest" });
  expect(ended.recovered).toContain("redo done at");
  expect(await timelines()).toEqual(["00000002.history"]);
  expect(await rowsIn(directory)).toEqual(upTo(12));
});

test("a recovery that stops without opening can be told to go further", async () => {
  const directory = await copyOfBase();
  const log = await logOf();
  const [third, eighth] = [moments[2]?.lsn ?? "", moments[7]?.lsn ?? ""];
  const first = await recovery(directory, log, { by: "position", at: third, inclusive: false }, { action: "shutdown" });
  expect(first.opened).toBe(false);
  expect(await controlOf(directory)).toMatch(/cluster state: +shut down in recovery\n/);

  const looked = Promise.withResolvers<string>();
  const end = new AbortController();
  const second = recovery(
    directory,
    log,
    { by: "position", at: eighth, inclusive: false },
    {
      action: "pause",
      paused: ({ socketDirectory, port, user }) => {
        const to = [
          "-h",
          socketDirectory,
          "-p",
          String(port),
          "-U",
          user,
          "-AtXqc",
          "select max(n) from probe",
          "postgres",
        ];
        run(join(server.binDirectory, "psql"), to)
          .then(({ stdout }) => looked.resolve(stdout.trim()), looked.reject)
          .finally(() => end.abort());
      },
    },
    end.signal,
  );
  expect(await Promise.race([looked.promise, second.then(() => "ended")])).toBe("8");
  expect(await second).toMatchObject({ opened: false });
  const third_ = await recovery(directory, log, { by: "position", at: eighth, inclusive: false });
  expect(third_.opened).toBe(true);
  expect(await rowsIn(directory)).toEqual(upTo(8));
  await expect(recovery(directory, log, { by: "latest" })).rejects.toMatchObject({ code: "DESTINATION_NOT_EMPTY" });
  await expect(recovery(await copyOfBase(), log, { by: "latest" }, { action: "pause" })).rejects.toMatchObject({
    code: "INVALID_REQUEST",
  });
});

/** What PostgreSQL does for one file, and with which code it ends. */
async function asks(directory: string, name: string, to: string): Promise<number | null> {
  const command = ARCHIVE_COMMAND.replaceAll("%f", name).replaceAll("%p", to);
  const shell = spawn("sh", ["-c", command], { cwd: directory, stdio: "ignore" });
  const [code] = await once(shell, "exit");
  return code as number | null; // what the event is declared to bring
}

test("only a file that the archive does not have is answered with 1: trouble of any kind is answered with 126", async () => {
  const directory = await fresh("client");
  await mkdir(join(directory, "stillpoint"));
  const at = join(directory, ARCHIVE_PATH);
  expect(await asks(directory, "000000010000000000000001", "into")).toBe(126);
  let trouble: unknown;
  const archive: Archive = {
    async has(name) {
      if (trouble !== undefined) throw trouble;
      return name !== "00000002.history";
    },
    after: () => [],
    async fetch(name, into) {
      await writeFile(join(into, name), name);
      return join(into, name);
    },
  };
  const options = { directory: at, archive, ahead: 1, atOnce: 1, patienceMs: 0, monotonicMs: () => performance.now() };
  {
    await using served = await serveArchive(options);
    expect(await asks(directory, "000000010000000000000001", "into")).toBe(0);
    expect(await readFile(join(directory, "into"), "utf8")).toBe("000000010000000000000001");
    expect(await asks(directory, "00000002.history", "into-2")).toBe(1);
    expect(await asks(directory, "../../etc/passwd", "into-2")).toBe(126);
    expect(await asks(directory, "000000010000000000000002", "nowhere/into")).toBe(126);
    trouble = new StillpointError("KEY_WRONG", { what: "It cannot be decrypted" });
    expect(await asks(directory, "00000003.history", "into-3")).toBe(126);
    expect(served.failure()).toMatchObject({ code: "KEY_WRONG" });
    expect(await asks(directory, "000000010000000000000001", "into-3")).toBe(126);
  }
  expect(await asks(directory, "000000010000000000000001", "into-3")).toBe(126);
  {
    // A helper that stays tells the server once, and serves the next one.
    await using served = await serveArchive({ ...options, forgetMs: 1_000 });
    expect(await asks(directory, "00000003.history", "into-3")).toBe(126);
    trouble = undefined;
    await waitFor("the trouble is forgotten", () => served.failure() === undefined);
    expect(await asks(directory, "00000003.history", "into-3")).toBe(0);
  }
  // A client that is there, and does nothing.
  await mkdir(at, { recursive: true });
  await writeFile(join(at, "client"), "");
  expect(await asks(directory, "000000010000000000000001", "into-4")).toBe(126);
  await rm(at, { recursive: true });
});
