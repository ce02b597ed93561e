import { Secret } from "@stillpoint/contracts/secret";
import { jsonLines } from "@stillpoint/driver/json-lines";
import { type SharedNeo4j, sharedNeo4j } from "@stillpoint/testkit/neo4j";
import type { Driver } from "neo4j-driver";
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { connectBolt } from "../src/bolt.ts";
import { graphLines, loadGraph } from "../src/graph-snapshot.ts";
import { quoted } from "../src/locator.ts";

vi.setConfig({ testTimeout: 300_000 });

const resources = new AsyncDisposableStack();
let server: SharedNeo4j;
let driver: Driver;
beforeAll(async () => {
  server = resources.use(await sharedNeo4j());
  const { url, user, password } = server;
  driver = resources.use(connectBolt({ url, user, password: new Secret(password) }));
});
afterAll(async () => await resources.disposeAsync());

const run = async (cypher: string, parameters = {}) => (await driver.executeQuery(cypher, parameters)).records;
const dump = async () => await Array.fromAsync(graphLines(driver, "neo4j", "Neo4j 5.26"));
const load = async (lines: readonly string[]) =>
  await loadGraph(
    driver,
    "neo4j",
    (async function* () {
      yield* lines;
    })(),
  );

async function wipe(): Promise<void> {
  const names = async (query: string) => (await run(query)).map((record) => String(record.get("name")));
  for (const name of await names("SHOW CONSTRAINTS YIELD name")) await run(`DROP CONSTRAINT ${quoted(name)}`);
  for (const name of await names("SHOW INDEXES YIELD name, type WHERE type <> 'LOOKUP' RETURN name")) {
    await run(`DROP INDEX ${quoted(name)}`);
  }
  await run("MATCH (n) DETACH DELETE n");
}

/** The same graph gives the same lines, whatever identities the server gave its nodes. `key` tells nodes apart. */
function canonical(lines: readonly string[]): string[] {
  const documents = lines.map((line) => JSON.parse(line));
  const keys = new Map(documents.filter(({ nodes }) => nodes).map(({ nodes }) => [nodes.id, nodes.properties.key]));
  const sorted = (value: Record<string, unknown>) =>
    Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
  return documents
    .map(({ nodes, relationships, ...rest }) => {
      if (nodes) return { labels: [...nodes.labels].sort(), properties: sorted(nodes.properties) };
      if (!relationships) return rest;
      const { from, to, type, properties } = relationships;
      return { from: keys.get(from), to: keys.get(to), type, properties: sorted(properties) };
    })
    .map((document) => JSON.stringify(document))
    .sort();
}

const PROPERTIES = `
  text: $text, empty: '', yes: true, no: false, small: 7, most: 9223372036854775807, least: -9223372036854775807 - 1,
  beyond: 9007199254740993, whole: 1.0, half: 0.5, minusZero: -0.0, huge: 1.7976931348623157e308, tiny: 4.9e-324,
  nan: $nan, infinity: $infinity, minusInfinity: -$infinity, floats: [1.0, $nan, $infinity], integers: [1, 9007199254740993],
  booleans: [true, false], texts: ['a', ''], none: [], bytes: $bytes,
  date: date('2026-11-21'), early: date('-0044-03-15'), dates: [date('2026-11-21'), date('1970-01-01')],
  time: time('10:11:12.000000013+01:30'), localTime: localtime('10:11:12.5'),
  localDateTime: localdatetime('2026-11-21T10:11:12.345678901'),
  zoned: datetime('2026-11-21T10:11:12.345678901[Europe/Zurich]'), offset: datetime('2026-11-21T10:11:12-05:00'),
  duration: duration('P1Y2M3DT4H5M6.007S'), back: duration({months: -1, days: 2, seconds: -3, nanoseconds: 4}),
  cartesian: point({x: 1.5, y: -2}), cartesian3: point({x: 1, y: 2, z: 3}), wgs: point({longitude: 8.5, latitude: 47.3}),
  wgs3: point({longitude: 8.5, latitude: 47.3, height: 400}), points: [point({x: 1, y: 2}), point({x: 3, y: 4})]`;
const GIVEN = {
  text: "it's `odd` \\ \u{1F600} \uFFFD \u2028 \u2029 \r\n \u0000",
  nan: Number.NaN,
  infinity: Number.POSITIVE_INFINITY,
  bytes: new Int8Array([-128, 0, 127]),
};

describe("a graph as lines of JSON", () => {
  test("comes back into an empty database as it was, with its types, indexes and constraints", async () => {
    await run("CREATE CONSTRAINT item FOR (i:Item) REQUIRE i.key IS UNIQUE");
    await run("CREATE CONSTRAINT `odd ``name` FOR ()-[r:`an odd type`]-() REQUIRE r.small IS UNIQUE");
    await run("CREATE TEXT INDEX texts FOR (i:Item) ON (i.name)");
    await run("CREATE FULLTEXT INDEX full FOR (i:Item|Other) ON EACH [i.name, i.text]");
    await run("CREATE POINT INDEX points FOR (i:Item) ON (i.cartesian)");
    await run("CREATE INDEX composite FOR (i:Item) ON (i.small, i.text)");
    await run(
      "CREATE VECTOR INDEX vectors FOR (i:Item) ON (i.vector) " +
        "OPTIONS {indexConfig: {`vector.dimensions`: 3, `vector.similarity_function`: 'cosine'}}",
    );
    await run(
      "UNWIND range(1, 2100) AS key CREATE (i:Item {key: key, name: 'item ' + key, vector: [1.0, 2.0, key]}) " +
        "WITH i WHERE i.key > 1 MATCH (before:Item {key: i.key - 1}) CREATE (i)-[:AFTER {by: 1}]->(before)",
    );
    await run(
      `CREATE (a:\`an odd label\`:Other {key: 'a', ${PROPERTIES}})-[:\`an odd type\` {${PROPERTIES}}]->(b {key: 'b'}), ` +
        "(a)-[:TWICE]->(b), (a)-[:TWICE]->(b), (a)-[:ITSELF]->(a), (b)-[:BACK]->(a)",
      GIVEN,
    );
    const before = await dump();
    expect(JSON.parse(before.at(-1) ?? "")).toEqual({ end: { nodes: 2_102, relationships: 2_104, schema: 7 } });
    expect(before.every((line) => line.indexOf("\n") === line.length - 1)).toBe(true);

    await expect(load(before)).rejects.toMatchObject({
      code: "INVALID_REQUEST",
      why: expect.stringContaining("empty"),
    });
    await wipe();
    const file = Buffer.from(before.join(""));
    const pieces = async function* () {
      for (let at = 0; at < file.length; at += 4_099) yield file.subarray(at, at + 4_099);
    };
    expect(await loadGraph(driver, "neo4j", jsonLines(pieces()))).toEqual({
      nodes: 2_102,
      relationships: 2_104,
      schema: 7,
    });
    const after = await dump();
    expect(canonical(after)).toEqual(canonical(before));

    // The server's own words: what it holds is of the types that were written.
    const [told] = await run(
      "MATCH (n:Other) RETURN n.most = 9223372036854775807 AND n.least = -9223372036854775807 - 1 AND " +
        "n.beyond = 9007199254740993 AND isNaN(n.nan) AND n.infinity > n.huge AND n.minusInfinity < -n.huge AND " +
        "n.text = $text AND n.zoned.timezone = 'Europe/Zurich' AND valueType(n.whole) = 'FLOAT NOT NULL' AS equal",
      GIVEN,
    );
    expect(told?.get("equal")).toBe(true);
  });

  test("that was cut off, or is of another form, is refused", async () => {
    await wipe();
    await run("CREATE (:A {key: 1})-[:TO]->(:B {key: 2})");
    const whole = await dump();
    const cases: [string[], string][] = [
      [whole.slice(0, -1), "VERIFICATION_FAILED"],
      [whole.slice(1), "INVALID_REQUEST"],
      [[], "VERIFICATION_FAILED"],
      [[whole[0]?.replace(":1,", ":2,") ?? "", ...whole.slice(1)], "FORMAT_UNKNOWN"],
      [[...whole.slice(0, 1), ...whole.slice(2)], "VERIFICATION_FAILED"],
      [[...whole, whole[1] ?? ""], "INVALID_REQUEST"],
      [[whole[0] ?? "", "{nonsense\n"], "INVALID_REQUEST"],
      [[whole[0] ?? "", '{"nodes":{"id":"1"}}\n'], "INVALID_REQUEST"],
    ];
    for (const [lines, code] of cases) {
      await wipe();
      await expect(load(lines), lines.join("")).rejects.toMatchObject({ code });
    }
  });

  test("is read a batch at a time, and let go in the middle leaves nothing open", async () => {
    await wipe();
    await run("UNWIND range(1, 20000) AS key CREATE (:Many {key: key, text: $text})", { text: "x".repeat(2_000) });
    const lines = graphLines(driver, "neo4j", "Neo4j 5.26");
    const open = async () => {
      const query =
        "SHOW TRANSACTIONS YIELD currentQuery WHERE currentQuery STARTS WITH 'MATCH (n)' RETURN count(*) AS open";
      return (await run(query))[0]?.get("open");
    };
    for (let read = 0; read < 5_000; read += 1) await lines.next();
    expect(await open(), "the server holds back what was not asked for").toBe(1n);
    await lines.return(undefined);
    expect(await open()).toBe(0n);
  });
});
