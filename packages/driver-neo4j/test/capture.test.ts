import { randomUUID } from "node:crypto";
import { cp, mkdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Neo4jSource, neo4jSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext } from "@stillpoint/driver/driver";
import { treeFiles } from "@stillpoint/driver/layout";
import { type SharedNeo4j, sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { type TemporaryDirectory, temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import neo4j, { type Driver } from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { loadGraphFile } from "../src/graph-file.ts";
import { logName } from "../src/log-position.ts";
import { readLogRun } from "../src/log-run.ts";
import { neo4jDriver } from "../src/neo4j-driver.ts";
import { contextOf, neo4jTools, specOf } from "./subject.ts";

// A start of a server, beside other test files that start theirs.
vi.setConfig({ testTimeout: 300_000 });

const resources = new AsyncDisposableStack();
let server: SharedNeo4j;
let client: Driver;
let directory: TemporaryDirectory;
let context: (label: string) => Promise<DriverContext>;
beforeAll(async () => {
  directory = resources.use(await temporaryDirectory("neo4j-capture"));
  server = resources.use(await sharedNeo4j());
  client = resources.use(neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password), { useBigInt: true }));
  const tools = await neo4jTools();
  context = async (label) => {
    const own = join(directory.path, label);
    await mkdir(own, { mode: 0o700 });
    return contextOf(server, tools, own);
  };
});
afterAll(async () => await resources.disposeAsync());

const run = async (cypher: string, parameters = {}) => (await client.executeQuery(cypher, parameters)).records;

describe("a source that cannot be captured is refused before anything is done", () => {
  const refused = async (label: string, changed: Partial<Neo4jSource>, password = server.password) => {
    const given = { ...(await context(label)), secret: contextOf({ password }, {}, "").secret };
    const source = neo4jSource.parse({ ...specOf(server), ...changed });
    return await neo4jDriver.open(source, given).then(
      () => "opened",
      (error: unknown) => error,
    );
  };
  const copyOfData = async (label: string) => {
    const data = join(directory.path, label);
    for (const database of ["neo4j", "system"]) {
      await cp(join(server.dataDirectory, "transactions", database), join(data, "transactions", database), {
        recursive: true,
      });
      const neostore = `databases/${database}/neostore`;
      await mkdir(join(data, "databases", database), { recursive: true });
      await writeFile(join(data, neostore), await readFile(join(server.dataDirectory, neostore)));
    }
    return data;
  };

  test("a wrong password, told without the password", async () => {
    const error = await refused("password", {}, "not-the-password");
    expect(error).toMatchObject({ code: "SOURCE_DENIED" });
    expect(JSON.stringify(error) + String(error)).not.toContain("not-the-password");
  });

  test("a database that is not there", async () => {
    expect(await refused("database", { database: "absent" })).toMatchObject({ code: "SOURCE_UNSUPPORTED" });
    expect(await refused("system", { database: "system" })).toMatchObject({ code: "SOURCE_UNSUPPORTED" });
  });

  test("a data directory that is not there", async () => {
    const data = join(directory.path, "nowhere");
    expect(await refused("data", { data })).toMatchObject({ code: "SOURCE_UNREACHABLE", where: data });
  });

  test("a data directory of another database", async () => {
    const data = await copyOfData("foreign");
    const path = join(data, "databases/neo4j/neostore");
    const bytes = await readFile(path);
    bytes[3] = (bytes[3] ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect(await refused("other", { data })).toMatchObject({
      code: "SOURCE_UNSUPPORTED",
      hint: expect.stringContaining("server.directories.data"),
    });
  });

  test("a data directory that is a copy: its log does not show what the server commits", async () => {
    const data = await copyOfData("stale");
    await run("CREATE (:Later)");
    expect(await refused("copy", { data })).toMatchObject({
      code: "SOURCE_CHANGED",
      hint: expect.stringContaining("copy"),
    });
  });
});

test("a log file that goes while the store is copied: the copy is begun anew, and nothing of the first one stays", async () => {
  const logs = join(server.dataDirectory, "transactions/neo4j");
  const { first } = await readLogRun(logs);
  const [path, away] = [join(logs, logName(first)), join(logs, "away")];
  const told: string[] = [];
  const given = { ...(await context("anew")), log: (message: string) => void told.push(message) };
  await using capture = await neo4jDriver.open(specOf(server), given);
  const restored = join(directory.path, "anew-restored");
  await mkdir(restored);
  const tree = directoryTree(restored);
  let copies = 0;
  const add: typeof tree.add = async (entry, body) => {
    if (entry.path === "data/databases/neo4j/neostore") copies += 1;
    if (entry.path === "data/databases/neo4j/neostore" && copies === 1) await rename(path, away);
    if (entry.type === "deleted" && entry.path === "data") await rename(away, path);
    return await tree.add(entry, body);
  };
  await capture.base({ add, covers: tree.covers });
  expect(copies).toBe(2);
  expect(told).toEqual(["the copy is begun anew"]);
  await capture.settle();
  const mark = await capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced: false });
  await capture.finish(tree);
  expect(neo4jDriver.layout(await treeFiles(restored), mark).length).toBeGreaterThan(0);
});

test("without Java and jars no sandbox is promised", async () => {
  const bare = { ...(await context("bare")), tools: {} };
  const mark = { cutId: randomUUID(), position: "", detail: {}, notes: [] };
  const runtime = { id: "neo4j-5-26", version: "5.26.30", arch: "x64", extensions: [], settings: {} };
  await expect(neo4jDriver.start({ directory: "/nowhere", mark, runtime }, bare)).rejects.toMatchObject({
    code: "STORE_NOT_INSTALLED",
  });
});

const ODD = "it's `odd` \\ \u{1F600} \uFFFD \u2028 \r\n";
/** What an export must bring back as it was. */
const PROPERTIES = `{
  text: $odd, yes: true, small: 7, negative: -7, large: 9223372036854775807, whole: 1.0, half: 0.5,
  huge: 1.0e300, list: [1, 2], floats: [1.0, 2.5], texts: ['a', ''], none: [], bytes: $bytes,
  date: date('2026-11-21'), time: time('10:11:12.000000013+01:30'), localTime: localtime('10:11:12.5'),
  localDateTime: localdatetime('2026-11-21T10:11:12.345678901'),
  zoned: datetime('2026-11-21T10:11:12.345678901[Europe/Zurich]'), offset: datetime('2026-11-21T10:11:12-05:00'),
  duration: duration('P1Y2M3DT4H5M6.007S'), flat: point({x: 1.5, y: -2}), deep: point({longitude: 8.5, latitude: 47.3, height: 400})
}`;

/** The server's own words for each property, type and value. */
const TOLD =
  "MATCH (n:Other)-[r]->() UNWIND keys(n) AS key RETURN key, valueType(n[key]), valueType(r[key]), " +
  "CASE WHEN n[key] IS :: LIST<ANY> THEN [x IN n[key] | toString(x)] ELSE toStringOrNull(n[key]) END, " +
  "toStringOrNull(r[key]), CASE WHEN n[key] IS :: POINT THEN n[key] END ORDER BY key";
const shown = (value: unknown) => (value instanceof neo4j.types.Point ? String(value) : value);
const namesOf = async (what: "CONSTRAINTS" | "INDEXES") =>
  (await run(`SHOW ${what} YIELD name${what === "INDEXES" ? ", type WHERE type <> 'LOOKUP'" : ""} RETURN name`)).map(
    (record) => ({ name: String(record.get("name")) }),
  );

describe("an export over Bolt", () => {
  test("holds every node, relationship, index and constraint, and comes back as it was", async () => {
    await run("MATCH (n) DETACH DELETE n");
    await run("CREATE CONSTRAINT FOR (i:Item) REQUIRE i.id IS UNIQUE");
    await run("CREATE TEXT INDEX FOR (i:Item) ON (i.name)");
    await run(
      "UNWIND range(1, 2500) AS id CREATE (i:Item {id: id, name: 'item ' + id}) " +
        "WITH i WHERE i.id > 1 MATCH (before:Item {id: i.id - 1}) CREATE (i)-[:AFTER {by: 1}]->(before)",
    );
    await run(`CREATE (:\`an odd label\`:Other ${PROPERTIES})-[:\`an odd type\` ${PROPERTIES}]->(:Bare)`, {
      odd: ODD,
      bytes: new Int8Array([-128, 0, 127]),
    });
    await run(
      "UNWIND ['\u{1F600}', '\uFFFD', 'z', 'a', 'Z', 3, 'a', null, '\uD7FF', 'a\u{1F600}', 'a\uFFFD'] AS v CREATE (:Sorted {v: v})",
    );

    await using capture = await neo4jDriver.open(specOf(server, false), await context("export"));
    expect(capture.description).toMatchObject({ hasLog: false, finish: "full" });
    expect(capture.description.base).toBeUndefined();
    await capture.settle();
    const mark = await capture.mark({ cutId: randomUUID(), budgetMs: 5_000, fenced: true });
    expect(mark.fuzzy).toContain("over Bolt");
    const restored = join(directory.path, "restored");
    await mkdir(restored);
    const tree = directoryTree(restored);
    await capture.finish(tree);
    expect(neo4jDriver.layout([], mark)).toEqual([]);

    const lines = async (name: string) =>
      (await readFile(join(restored, `export/${name}.ndjson`), "utf8"))
        .trimEnd()
        .split("\n")
        .map((line) => JSON.parse(line));
    expect(await lines("nodes")).toHaveLength(2_500 + 2 + 11);
    expect(await lines("relationships")).toHaveLength(2_499 + 1);
    expect(await lines("schema")).toHaveLength(2);

    const bolt = specOf(server, false);
    const load = () => loadGraphFile(bolt, join(restored, "export"), contextOf(server, {}, ""), () => undefined);
    await expect(load()).rejects.toMatchObject({ why: expect.stringContaining("empty") });
    const original = (await run(TOLD)).map((record) => ({ values: [...record.values()].map(shown) }));
    expect(original.length).toBe(22);
    await run("MATCH (n) DETACH DELETE n");
    for (const { name } of await namesOf("CONSTRAINTS")) await run(`DROP CONSTRAINT ${name}`);
    for (const { name } of await namesOf("INDEXES")) await run(`DROP INDEX ${name}`);
    expect(await load()).toEqual({ nodes: 2_513, relationships: 2_500, schema: 2 });
    const again = (await run(TOLD)).map((record) => ({ values: [...record.values()].map(shown) }));
    expect(again, "loaded into a running server").toEqual(original);

    const { runtime } = capture.description;
    await using sandbox = await neo4jDriver.start({ directory: restored, mark, runtime }, await context("sandbox"));
    expect(sandbox.recovered).toContain("2513 of 2513 nodes, 2500 of 2500 relationships");
    const ask = async (text: string) => await Array.fromAsync(sandbox.query({ type: "statement", id: "ask", text }));

    expect(await ask(TOLD)).toEqual(original);

    expect(await Array.fromAsync(sandbox.query({ type: "values", id: "values", of: "Sorted.v" }))).toEqual(
      ["\u{1F600}", "\uFFFD", "z", "a", "Z", "3", "\uD7FF", "a\u{1F600}", "a\uFFFD"].sort().map((value) => ({ value })),
    );
    expect(await Array.fromAsync(sandbox.query({ type: "max", id: "max", of: "Item.id" }))).toEqual([{ max: 2_500 }]);
    expect(await Array.fromAsync(sandbox.query({ type: "max", id: "none", of: "Absent.id" }))).toEqual([{ max: null }]);
    await expect(ask("CREATE (:Written)")).rejects.toMatchObject({ code: "INVALID_REQUEST" });
    await expect(ask("RETURN nonsense(")).rejects.toMatchObject({ code: "INVALID_REQUEST" });

    const checks = await Array.fromAsync(sandbox.query({ type: "store", id: "store" }));
    expect(checks.map((check) => ("name" in check ? [check.name, check.verdict] : check))).toEqual([
      ["import", "pass"],
      ["indexes", "pass"],
      ["constraints", "pass"],
      ["consistency", "pass"],
    ]);
  });
});
