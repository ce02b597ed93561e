import { cp, mkdir, readdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { vaultLog } from "@stillpoint/contracts/vault";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { startNeo4j } from "@stillpoint/parts/neo4j-server";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { PARTS_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { prepareRestore } from "@stillpoint/testkit/restore-py";
import { waitFor } from "@stillpoint/testkit/wait-for";
import neo4j from "neo4j-driver";
import { expect, test, vi } from "vitest";
import { restore } from "../src/restore.ts";
import { startTestSystem } from "./system-fixture.ts";

// A start of a server, beside other test files that start theirs.
vi.setConfig({ testTimeout: 300_000 });

const GRAPH = { plan: "graph", source: "shop" };
const PASSWORD = "a password of the test";

/** Path and bytes of all that a restore wrote. */
async function treeOf(directory: string): Promise<Map<string, string>> {
  const tree = new Map<string, string>();
  for (const path of (await readdir(directory, { recursive: true })).sort()) {
    const isFile = (await stat(join(directory, path))).isFile();
    tree.set(path, isFile ? (await readFile(join(directory, path))).toString("base64") : "directory");
  }
  return tree;
}

test("a point of a Neo4j whose log is shipped rests on its base, and comes back with all up to its mark, users too, by a vault, by the repository alone and by restore.py", async () => {
  await using server = await sharedNeo4j();
  const { url, user, password, dataDirectory: data } = server;
  await using driver = neo4j.driver(url, neo4j.auth.basic(user, password));
  const onSystem = (cypher: string) => driver.executeQuery(cypher, {}, { database: "system" });
  const shop = { kind: "neo4j", url, user, password: "${env:GRAPH_SECRET}", data, ship: { flush: "300ms" } };
  await using system = await startTestSystem({
    isolate: false,
    kinds: ["neo4j", "sqlite", "files"],
    validate: false,
    environment: { GRAPH_SECRET: password },
    planFile: (plan) => ({ plans: { demo: plan, graph: { sources: { shop }, validate: false } } }),
  });
  await using users = new AsyncDisposableStack();
  const makeUser = async (name: string) => {
    users.defer(async () => void (await onSystem(`DROP USER ${name} IF EXISTS`)));
    await onSystem(`CREATE USER ${name} SET PASSWORD '${PASSWORD}' CHANGE NOT REQUIRED`);
  };
  const write = (from: number, to: number) =>
    driver.executeQuery("UNWIND range($from, $to) AS seq CREATE (:Written {seq: seq})-[:OF]->(:Thing)", {
      from: neo4j.int(from),
      to: neo4j.int(to),
    });

  await driver.executeQuery("CREATE CONSTRAINT FOR (w:Written) REQUIRE w.seq IS UNIQUE");
  await write(1, 100);
  const first = await system.backUp("graph");
  await waitFor(
    "the base serves",
    async () => (await system.bus.request(vaultLog, {}, GRAPH, { timeoutMs: 30_000 })).baseServes,
  );
  await write(101, 300);
  await makeUser("before_mark");
  const point = await system.backUp("graph");
  await write(301, 310);
  await makeUser("behind_mark");

  const [before, now] = [first.sources[0], point.sources[0]];
  expect(now?.mark.log).toBeDefined();
  expect(now?.backups[0]).toBe(before?.backups[0]);
  expect(now?.sizeBytes).toBeGreaterThan(0);
  {
    await using repository = await system.repository();
    expect((await repository.headBackup(now?.backups[1] ?? ""))?.bytes).toBe(0);
  }

  const at = (name: string) => join(system.directory, name);
  const options = { plan: "graph", over: false, dryRun: false, thaw: false };
  const { repository, keyFile } = system.system;
  await restore(system.world, point.pointId, { ...options, to: at("by-vault") });
  await restore(system.world, point.pointId, { ...options, to: at("by-hand"), repository, keyFile });
  const python = await prepareRestore();
  const ran = await python("restore", repository, point.pointId, "--key-file", keyFile, "--to", at("in-python"));
  expect(ran).toMatchObject({ code: 0 });
  const byVault = await treeOf(join(at("by-vault"), "shop"));
  expect(await treeOf(join(at("by-hand"), "shop"))).toEqual(byVault);
  const inPython = await treeOf(join(at("in-python"), "shop"));
  // What it writes itself is in its own words.
  for (const tree of [byVault, inPython]) tree.delete("conf/neo4j.conf");
  expect(inPython).toEqual(byVault);

  const home = at("home");
  await cp(join(at("by-vault"), "shop"), home, { recursive: true });
  await mkdir(join(home, "data/dbms"), { recursive: true });
  await writeFile(join(home, "password"), password);
  await using restored = await startNeo4j({ part: await ensureNeo4j({ directory: PARTS_DIRECTORY }), dir: home });
  const logIn = async (name: string, secret: string) => {
    await using own = neo4j.driver(restored.url, neo4j.auth.basic(name, secret));
    const { records } = await own.executeQuery("MATCH (w:Written) RETURN count(w) AS n, sum(w.seq) AS sum");
    return records.map((record) => [Number(record.get("n")), Number(record.get("sum"))]);
  };
  expect(await logIn("before_mark", PASSWORD)).toEqual([[300, 45150]]);
  await expect(logIn("behind_mark", PASSWORD)).rejects.toMatchObject({ code: "Neo.ClientError.Security.Unauthorized" });
});
