import { execFile } from "node:child_process";
import { createReadStream } from "node:fs";
import { chown, cp, lstat, mkdir, open, readdir, readFile, readlink, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { OpenOptions } from "@stillpoint/driver/driver";
import type { LogPiece } from "@stillpoint/driver/recover";
import type { Earlier } from "@stillpoint/driver/tree";
import { ownPostgres } from "@stillpoint/testkit/postgres";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { recoverServed } from "../src/archive/recover-served.ts";
import { refuseTakenPlaces } from "../src/archive/taken-places.ts";
import { parseWalName } from "../src/archive/wal-name.ts";
import { BASE_PATH, parseBaseFacts } from "../src/base-facts.ts";
import { logRangeOf, walPositionOf } from "../src/log-position.ts";
import { formatLsn, parseLsn, segmentName, segmentStart } from "../src/lsn.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import { placeTablespaces, readPlaces, tablespacesOf } from "../src/tablespace-places.ts";
import { walRecords } from "../src/wal-records.ts";
import { captured, laidOut, marked, started } from "./captured.ts";
import { directorySink, heldIn, piecesIn } from "./directory-sink.ts";
import { recovered, takenBase } from "./recovering.ts";
import { shipOptions } from "./ship-options.ts";
import { connected, contextFor, sourceOf } from "./subject.ts";

const resources = new AsyncDisposableStack();
let server: Awaited<ReturnType<typeof ownPostgres>>;
let root: string;
let client: Awaited<ReturnType<typeof connected>>;
let directories = 0;
const never = new AbortController().signal;

beforeAll(async () => {
  server = resources.use(await ownPostgres());
  root = resources.use(await temporaryDirectory("tablespaces")).path;
  client = resources.use(await connected(server.url()));
});
afterAll(async () => await resources.disposeAsync());

async function fresh(): Promise<string> {
  directories += 1;
  const directory = join(root, String(directories));
  await mkdir(directory);
  return directory;
}

/** A directory that the server may write. */
async function place(): Promise<string> {
  const directory = await fresh();
  const { uid, gid } = await stat(server.dataDirectory);
  await chown(directory, uid, gid);
  return directory;
}
/** Of timeline 1, as the server itself has them. */
async function readSegments(data: string): Promise<[bigint, Buffer][]> {
  const names = (await readdir(join(data, "pg_wal"))).filter((name) => /^00000001[0-9A-F]{16}$/.test(name));
  const read = async (name: string): Promise<[bigint, Buffer]> => {
    const bytes = await readFile(join(data, "pg_wal", name));
    const file = parseWalName(name);
    if (file?.is !== "segment") throw new TypeError(`${name} is no segment`);
    return [file.startIn(bytes.length), bytes];
  };
  return await Promise.all(names.map(read));
}
const context = async () => contextFor(server, await fresh(), never);
const here = async () => (await client.query("select pg_current_wal_flush_lsn()::text as lsn")).rows[0].lsn as string;

test("several tablespaces come back inside the directory, and where a person places one, that one lies there", async () => {
  const [first, second] = [await place(), await place()];
  await client.query(`create tablespace first location '${first}'`);
  await client.query(`create tablespace "second one" location '${second}'`);
  await client.query('create table a (n int) tablespace first; create table b (n int) tablespace "second one"');
  await client.query("insert into a select generate_series(1, 1000); insert into b select generate_series(1, 2000)");
  const it = await captured(sourceOf(server), await context(), join(root, "several"));
  expect(it.mark.detail).toMatchObject({
    tablespaces: [
      { name: "first", location: first },
      { name: "second one", location: second },
    ],
  });
  await laidOut(it);

  const elsewhere = join(root, "elsewhere", "deep");
  const placed = await readPlaces(tablespacesOf(it.mark), [`second one=${elsewhere}`]);
  await placeTablespaces(it.directory, placed);
  const { uid, gid } = await stat(server.dataDirectory);
  await promisify(execFile)("chown", ["-R", `${uid}:${gid}`, join(root, "elsewhere")]);
  const spaces = join(it.directory, "pg_tblspc");
  const kinds = await Promise.all(
    (await readdir(spaces)).map(async (name) => (await lstat(join(spaces, name))).isSymbolicLink()),
  );
  expect(kinds.sort()).toEqual([false, true]);
  expect(await readlink(join(spaces, placed[0]?.oid ?? ""))).toBe(elsewhere);
  const tools = { ...(await context()).tools, openSandboxes: true };
  {
    await using sandbox = await started(it, { ...(await context()), tools });
    const rows = await Array.fromAsync(
      sandbox.query({ type: "statement", id: "s", text: "select (select count(*) from a), (select count(*) from b)" }),
    );
    expect(rows).toEqual([{ values: [1000, 2000] }]);
  }
  // The source's own places are as they were.
  expect((await client.query("select count(*) from b")).rows).toEqual([{ count: "2000" }]);

  await expect(readPlaces(tablespacesOf(it.mark), ["third=/x"])).rejects.toMatchObject({
    code: "INVALID_REQUEST",
    why: "there are first, second one",
  });
  await expect(readPlaces(tablespacesOf(it.mark), ["first"])).rejects.toMatchObject({ code: "INVALID_REQUEST" });
  await expect(readPlaces(tablespacesOf(it.mark), [`first=${elsewhere}`])).rejects.toMatchObject({
    code: "DESTINATION_NOT_EMPTY",
  });
  await expect(readPlaces(tablespacesOf(it.mark), ["first=/x/y", "second one=/x"])).rejects.toMatchObject({
    why: "it is there twice",
  });
});

test("the records of a server's log are read as the server's own program reads them", async () => {
  await client.query("create table filled (n int, payload text)");
  await client.query("insert into filled select n, repeat('x', n % 3000) from generate_series(1, 20000) n");
  const from = await here();
  await client.query("select pg_switch_wal()");
  const segmentBytes = 16 * 1024 * 1024;
  const start = segmentStart(parseLsn(from), segmentBytes);
  const name = segmentName(1, start, segmentBytes);
  await using file = await open(join(server.dataDirectory, "pg_wal", name));
  const ours = [...walRecords(await file.readFile(), start, 8192)].map(
    ({ lsn, bytes }) => `${formatLsn(lsn)} ${bytes}`,
  );
  const path = join(server.dataDirectory, "pg_wal", name);
  const dumped = await promisify(execFile)(join(server.binDirectory, "pg_waldump"), [path], { maxBuffer: 1e9 }).catch(
    (error: { stdout: string }) => error, // what goes on in the next segment ends it
  );
  const theirs = dumped.stdout.split("\n").flatMap((line) => {
    const [, bytes, lsn] = /len \(rec\/tot\):\s*\d+\/\s*(\d+),.*lsn: ([0-9A-F]+\/[0-9A-F]+)/.exec(line) ?? [];
    return lsn === undefined ? [] : [`${lsn.replace(/\/0+(?=.)/, "/")} ${bytes}`];
  });
  expect(theirs.length).toBeGreaterThan(1000);
  expect(ours.slice(0, theirs.length)).toEqual(theirs);
  // The last may end in the next segment, which the program was not given.
  expect(ours.length - theirs.length).toBeLessThanOrEqual(1);
});

test("a log in which a tablespace is made outside of the destination is not replayed past that, whatever brings it back", async () => {
  const [base, shipped] = [join(root, "base"), await fresh()];
  const [stop, sink] = [new AbortController(), directorySink(shipped)];
  const options = shipOptions({ sink, stop: stop.signal });
  const shipping = postgresDriver.ship?.(sourceOf(server), options, await context());
  await waitFor(
    "a slot is there",
    async () => (await client.query("select from pg_replication_slots")).rows.length > 0,
  );
  await takenBase(sourceOf(server), await context(), base);
  await client.query("create table before (n int); insert into before values (1)");
  const before = await here();
  const location = await place();
  await client.query(`create tablespace late location '${location}'; `);
  await client.query("create table after (n int) tablespace late; insert into after values (1)");
  const end = await here();
  await waitFor("it is shipped", async () => {
    const held = await heldIn(shipped);
    return held !== undefined && walPositionOf(held).at >= parseLsn(end);
  });
  stop.abort();
  await shipping;
  const pieces = (await piecesIn(shipped)).map(
    ({ kind, range, path }): LogPiece =>
      kind === "tail"
        ? { type: "tail", range, read: () => readFile(path) }
        : { type: "closed", range, extract: async (into) => await cp(path, into, { recursive: true }) },
  );
  // As `restore --at` does it: by the machine's own server, which asks for each segment.
  const served = async () => {
    const directory = join(root, "served");
    await cp(base, directory, { recursive: true });
    const facts = parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8"));
    const range = logRangeOf(facts.timeline, segmentStart(facts.start, facts.segmentBytes), facts.end);
    const cutId = "01900000-0000-7000-8000-000000000001";
    const input = {
      directory,
      base: range,
      log: pieces,
      target: { by: "latest" as const },
      action: "promote" as const,
    };
    return await recoverServed({ ...input, cutId, patienceMs: 1_000 }, await context());
  };
  const files = await readdir(location, { recursive: true });
  const going = async (at: string) =>
    await recovered(
      { base, shipped, directory: join(root, `to-${at.replace("/", "-")}`) },
      { by: "lsn", at: parseLsn(at) },
      await context(),
    );
  await expect(going(end)).rejects.toMatchObject({
    code: "PATH_UNSAFE",
    where: location,
    hint: expect.stringContaining("lsn:"),
  });
  await expect(served()).rejects.toMatchObject({ code: "PATH_UNSAFE", where: location });
  expect(await readdir(location, { recursive: true })).toEqual(files);
  // A server that fetches for itself is given such a log where nobody has that directory, or it itself has.
  const segments = await readSegments(server.dataDirectory);
  const given = async (data: string | undefined) => {
    for (const [start, bytes] of segments) await refuseTakenPlaces(bytes, start, data);
  };
  for (const data of [undefined, base])
    await expect(given(data)).rejects.toMatchObject({ code: "PATH_UNSAFE", where: location });
  await given(server.dataDirectory);
  await using sandbox = await going(before);
  expect(await Array.fromAsync(sandbox.query({ type: "statement", id: "s", text: "select n from before" }))).toEqual([
    { values: [1] },
  ]);
});

test("a mark rests on a base that stands where that one has all tablespaces, and makes its own where one came after it", async () => {
  const create = async (name: string) => {
    const location = await place();
    await client.query(`create tablespace ${name} location '${location}'`);
    return { name, location };
  };
  const [kept, dropped] = [await create("kept"), await create("dropped")];
  const standing = await fresh();
  await takenBase(sourceOf(server), await context(), join(standing, "base"));
  const standingBase: Earlier = { read: (path) => createReadStream(join(standing, "base", path)) };
  const resting = { heldPlace: async () => undefined, standingBase };
  const opened = async (options: OpenOptions = resting) =>
    await postgresDriver.open(sourceOf(server), await context(), options);
  {
    await using rests = await opened();
    expect(rests.description.base).toBeUndefined();
    const mark = await marked(rests);
    expect(mark.log?.target).toMatchObject({ by: "name" });
    expect(tablespacesOf(mark)).toEqual(
      expect.arrayContaining([kept, dropped].map((each) => expect.objectContaining(each))),
    );
    // One that goes away is replayed, and is no place any more.
    await client.query("drop tablespace dropped");
    const later = await marked(rests);
    expect(tablespacesOf(later).map(({ name }) => name)).toContain("kept");
    expect(tablespacesOf(later).map(({ name }) => name)).not.toContain("dropped");
    await create("amid");
    await expect(marked(rests)).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
      why: expect.stringContaining("tablespace"),
    });
  }
  {
    await using own = await opened();
    expect(own.description.base).toBe("full");
    await own.base(directoryTree(await fresh()));
    const mark = await marked(own);
    expect(mark.log).toBeUndefined();
    expect(mark.notes).toContainEqual(expect.stringContaining("lacks a tablespace"));
  }
  const unsaid = new StillpointError("NOT_FOUND", { what: "There is no such file" });
  const silent: Earlier = {
    // biome-ignore lint/correctness/useYield: a base of before has no such file
    async *read() {
      throw unsaid;
    },
  };
  for (const files of [{}, { standingBase: silent }]) {
    await using own = await opened({ heldPlace: async () => undefined, ...files });
    expect(own.description.base).toBe("full");
  }
});

test("a base that a tablespace was made beside is none", async () => {
  const location = await place();
  const making = captured(sourceOf(server), await context(), join(root, "beside"), {
    duringBase: async () => void (await client.query(`create tablespace beside location '${location}'`)),
  });
  await expect(making).rejects.toMatchObject({
    code: "SOURCE_CHANGED",
    why: expect.stringContaining("while the base"),
  });
});
