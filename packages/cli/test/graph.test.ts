import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import neo4j from "neo4j-driver";
import { expect, test } from "vitest";
import { program } from "../src/commands.ts";
import { testWorld } from "./system-fixture.ts";

test("a graph goes to a file and into an empty server, and nothing that stands there is written over", async () => {
  await using directory = await temporaryDirectory("graph");
  await using server = await sharedNeo4j();
  await using driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password));
  const run = async (cypher: string) => (await driver.executeQuery(cypher)).records.map((record) => record.toObject());
  await run("CREATE INDEX things FOR (t:Thing) ON (t.id)");
  await run("UNWIND range(1, 50) AS id CREATE (:Thing {id: id, at: datetime('2026-11-21T10:11:12Z')})-[:OF]->(:Kind)");

  const printed: string[] = [];
  const world = testWorld(directory.path);
  const stillpoint = async (...words: string[]) => {
    printed.length = 0;
    const environment = { ...world.environment, P: server.password };
    const own = { ...world, environment, out: (text: string) => void printed.push(text) };
    const given = ["--url", server.url, "--password", "${env:P}", "--json"];
    await program(own).parseAsync(["node", "stillpoint", "graph", ...words, ...given]);
    return JSON.parse(printed.join(""));
  };
  const file = join(directory.path, "graph.ndjson");
  const { bytes } = await stillpoint("export", file);
  expect((await readFile(file)).length).toBe(bytes);
  await expect(stillpoint("export", file)).rejects.toMatchObject({ code: "CONFLICT", where: file });
  await expect(stillpoint("load", file)).rejects.toMatchObject({ why: expect.stringContaining("not empty") });

  await run("MATCH (n) DETACH DELETE n");
  await run("DROP INDEX things");
  await writeFile(join(directory.path, "cut"), (await readFile(file)).subarray(0, bytes - 20));
  await expect(stillpoint("load", join(directory.path, "cut"))).rejects.toMatchObject({
    code: "VERIFICATION_FAILED",
  });
  expect(await stillpoint("load", file)).toEqual({ file, nodes: 100, relationships: 50, schema: 1 });
  expect(await run("MATCH (t:Thing)-[:OF]->(:Kind) WHERE t.at.year = 2026 RETURN count(*) AS n")).toEqual([
    { n: neo4j.int(50) },
  ]);

  const wrong = program(world).parseAsync(
    ["node", "stillpoint", "graph", "load", file, "--url", server.url].concat("--password", server.password),
  );
  const error = await wrong.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ code: "INVALID_REQUEST", where: "--password" });
  expect(String(error) + JSON.stringify(error)).not.toContain(server.password);
});
