import { copyFile, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { mark as markSchema } from "@stillpoint/contracts/point";
import { Secret } from "@stillpoint/contracts/secret";
import { digest, expected, fixtures } from "@stillpoint/testkit/qdrant-fixtures";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { byteReader } from "../src/byte-reader.ts";
import { connect } from "../src/cluster.ts";
import { nextEntry } from "../src/inner-tar.ts";
import { exportQdrant } from "../src/portable.ts";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { restoreServer } from "../src/restore-server.ts";
import { fileContent, shardContent } from "../src/shard-content.ts";
import type { CollectionFile } from "../src/tree-layout.ts";
import { type Double, finishInto, startDouble } from "./double.ts";
import { markRequest } from "./marking.ts";

const resources = new AsyncDisposableStack();
const NAMES = ["clustered", "notes", "products"] as const;
const never = new AbortController().signal;
let double: Double;
beforeAll(async () => {
  double = resources.use(await startDouble());
});
afterAll(async () => await resources.disposeAsync());

const json = z.record(z.string(), z.unknown());

/** What a server's own snapshot says of its collection. */
async function configOf(snapshot: string): Promise<Record<string, unknown>> {
  const reader = byteReader((await fileContent(snapshot)).bytes()[Symbol.asyncIterator]());
  for (;;) {
    const { name, bodyBytes } = await nextEntry(reader);
    if (name === "") throw new Error(`${snapshot} has no config.json`);
    const body = await reader.take(bodyBytes);
    if (name === "config.json") return json.parse(JSON.parse(String(body).replace(/\0+$/, "")));
  }
}

/** A backup as two peers would have made it, each with some of the shards; the snapshots are a server's own. */
async function treeOf(names: readonly string[]): Promise<string> {
  const tree = await double.directory("tree");
  await writeFile(join(tree, "aliases.json"), '{"live-products":"products"}');
  for (const name of names) {
    const directory = join(tree, "collections", name);
    await mkdir(directory, { recursive: true });
    const config = await configOf(join(fixtures, `${name}.snapshot`));
    const shards = Array.from({ length: Number(Object(config.params).shard_number) }, (_, at) => at);
    const parts = [shards.filter((each) => each % 2 === 0), shards.filter((each) => each % 2 === 1)];
    const snapshots = parts.map((held, at) => ({ file: `peer-${at}.snapshot`, shards: held }));
    for (const { file } of snapshots) await copyFile(join(fixtures, `${name}.snapshot`), join(directory, file));
    const file: CollectionFile = { name, config, payloadSchema: {}, by: "snapshot", shards, snapshots };
    await writeFile(join(directory, "config.json"), JSON.stringify(file));
  }
  return tree;
}

test("every point of a real server's snapshots is there when their shards were taken out of them, and after a capture", async () => {
  const [server] = connect(double.source, new Secret(double.server.apiKey));
  await restoreServer(server, await treeOf(NAMES), never);
  for (const name of NAMES) {
    const { points, sha256 } = expected.collections[name] ?? {};
    expect(await digest(double.server, name), name).toEqual({ points, sha256 });
  }

  await using capture = await qdrantDriver.open(double.source, double.context(await double.directory("capture")));
  await capture.settle();
  const mark = await capture.mark(markRequest());
  expect(mark.counts).toEqual(Object.fromEntries(NAMES.map((name) => [name, expected.collections[name]?.points])));
  const tree = await double.directory("captured");
  await finishInto(capture.finish, tree);
  await using other = await startDouble();
  const [empty] = connect(other.source, new Secret(other.server.apiKey));
  await restoreServer(empty, tree, never);
  for (const name of NAMES) {
    const { points, sha256 } = expected.collections[name] ?? {};
    expect(await digest(other.server, name), name).toEqual({ points, sha256 });
  }
});

test("a shard that a snapshot does not hold is told, before anything is sent", async () => {
  const tree = await treeOf(["notes"]);
  const file = { name: "notes", config: {}, payloadSchema: {}, by: "snapshot", shards: [0, 1] } as const;
  const parts = { ...file, shards: [0, 1], snapshots: [{ file: "peer-0.snapshot", shards: [0, 1] }] };
  await expect(shardContent(join(tree, "collections/notes"), parts, 1)).rejects.toMatchObject({
    code: "VERIFICATION_FAILED",
    why: "shard 1 is not in it",
  });
});

test("parts that peers made are exported as the shards in them, for a server that is alone takes no part", async () => {
  const context = double.context(await double.directory("export"));
  const runtime = { id: "qdrant-1.17", version: "1.17.1", arch: process.arch, extensions: [], settings: {} };
  const mark = markSchema.parse({ cutId: "018f0000-0000-7000-8000-000000000002", position: "", detail: {}, notes: [] });
  const files = await Array.fromAsync(exportQdrant({ directory: await treeOf(["clustered"]), mark, runtime }, context));
  const made = ["json", "shard-0.snapshot", "shard-1.snapshot", "shard-2.snapshot", "aliases.json"];
  expect(files.map(({ extension }) => extension)).toEqual(made);
  for (const { content } of files.slice(1, 4)) {
    const reader = byteReader(content()[Symbol.asyncIterator]());
    const names: string[] = [];
    for (let entry = await nextEntry(reader); entry.name !== ""; entry = await nextEntry(reader)) {
      names.push(entry.name);
      await reader.take(entry.bodyBytes);
    }
    expect(names).toEqual(expect.arrayContaining(["replica_state.json", "shard_config.json"]));
    expect(
      names.filter((name) => !/^(segments|wal|newest_clocks|oldest_clocks|applied|replica|shard)/.test(name)),
    ).toEqual([]);
  }
});
