import { join } from "node:path";
import type { DriverContext, SandboxInput } from "@stillpoint/driver/driver";
import type { PortableFile } from "@stillpoint/driver/portable";
import { aliasActions } from "./aliases.ts";
import { creationOf, indexRequests } from "./make-collection.ts";
import { readAliases, readCollections } from "./restore-server.ts";
import { type Content, fileContent, shardContent } from "./shard-content.ts";
import { COLLECTION_SNAPSHOT } from "./tree-layout.ts";

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
    const isWhole = by === "snapshot" && file.snapshots === undefined;
    // Parts that peers made are given as the shards in them: a server that is alone takes no part.
    const parameters = {
      collection: name,
      by: isWhole ? by : "streams",
      shards,
      create: creationOf(file),
      indexes: indexRequests(file),
    };
    yield {
      part: name,
      extension: "json",
      format: "a collection's parameters: bodies of requests, for curl",
      madeBy,
      content: () => json(parameters),
    };
    if (isWhole)
      yield {
        part: name,
        extension: "snapshot",
        format: `snapshot of collection ${name}, for …/snapshots/upload`,
        madeBy,
        content: bytesOf(() => fileContent(join(at, COLLECTION_SNAPSHOT))),
      };
    else
      for (const shard of shards)
        yield {
          part: name,
          extension: `shard-${shard}.snapshot`,
          format: `snapshot of shard ${shard} of collection ${name}, for …/shards/${shard}/snapshots/upload`,
          madeBy,
          content: bytesOf(() => shardContent(at, file, shard)),
        };
  }
  const aliases = await readAliases(directory);
  yield {
    part: "",
    extension: "aliases.json",
    format: "aliases: the body of a request, for curl",
    madeBy,
    content: () => json({ actions: aliasActions(aliases) }),
  };
}

function bytesOf(content: () => Promise<Content>): () => AsyncIterable<Uint8Array> {
  return async function* () {
    yield* (await content()).bytes();
  };
}

async function* json(value: unknown): AsyncGenerator<Uint8Array> {
  yield Buffer.from(`${JSON.stringify(value, undefined, 2)}\n`);
}
