import { createReadStream } from "node:fs";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import type { PortableFile } from "@stillpoint/driver/portable";
import { parseJson } from "./json.ts";
import { aliasActions, creationOf, indexRequests, readCollections } from "./restore-server.ts";
import { ALIASES_FILE, aliasesFile, COLLECTION_SNAPSHOT, shardSnapshot } from "./tree-layout.ts";

/**
 * Each collection as the server gave it: its snapshot, or one of each shard; with what it takes to make it again, in the
 * words of the server's own requests. No server is needed for it.
 */
export async function* exportQdrant(
  { directory, runtime }: SandboxInput,
  { signal }: DriverContext,
): AsyncGenerator<PortableFile> {
  const madeBy = `Qdrant ${runtime.version}`;
  for (const { directory: at, file } of await readCollections(directory)) {
    signal.throwIfAborted();
    const { name, by, shards } = file;
    const bytesOf = (path: string) => () =>
      createReadStream(join(at, path), { highWaterMark: 1024 * 1024 }) as AsyncIterable<Buffer>; // no encoding: buffers
    const parameters = { collection: name, by, shards, create: creationOf(file), indexes: indexRequests(file) };
    yield {
      part: name,
      extension: "json",
      format: "a collection's parameters: bodies of requests, for curl",
      madeBy,
      content: () => json(parameters),
    };
    if (by === "snapshot")
      yield {
        part: name,
        extension: "snapshot",
        format: `snapshot of collection ${name}, for …/snapshots/upload`,
        madeBy,
        content: bytesOf(COLLECTION_SNAPSHOT),
      };
    else
      for (const shard of shards)
        yield {
          part: name,
          extension: `shard-${shard}.snapshot`,
          format: `snapshot of shard ${shard} of collection ${name}, for …/shards/${shard}/snapshots/upload`,
          madeBy,
          content: bytesOf(shardSnapshot(shard)),
        };
  }
  const aliases = aliasesFile.parse(parseJson(await readFile(join(directory, ALIASES_FILE), "utf8")));
  yield {
    part: "",
    extension: "aliases.json",
    format: "aliases: the body of a request, for curl",
    madeBy,
    content: () => json({ actions: aliasActions(aliases) }),
  };
}

async function* json(value: unknown): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}
