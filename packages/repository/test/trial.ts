import { createHash } from "node:crypto";
import { Secret } from "@stillpoint/contracts/secret";
import type { TarEntry } from "@stillpoint/driver/tar-entry";
import { readTar } from "@stillpoint/driver/tar-reader";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { ChunkHint, TreeEntry } from "@stillpoint/driver/tree";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { Chunking } from "../src/format/documents.ts";
import { initRepository } from "../src/init-repository.ts";
import { openRepository, type Repository } from "../src/repository.ts";
import type { BackupHead } from "../src/write/write-backup.ts";

export const PASSPHRASE = new Secret("a passphrase of the tests");
/** Cheap, so that a test may open a repository often. */
export const SCRYPT_COST = { n: 1024, r: 8, p: 1 };
export const NOW = Date.UTC(2026, 0, 2, 3, 4, 5, 678);

/** Small sizes, so that little data makes many chunks and packs. */
export const SMALL: Chunking = {
  pageBlock: 65_536,
  contentMin: 4_096,
  contentTarget: 16_384,
  contentMax: 65_536,
  bundleBelow: 4_096,
  bundleMin: 8_192,
  bundleMax: 32_768,
  packTarget: 1_048_576,
};

/** Bytes that look random and are the same in every run. */
export function randomFrom(seed: string): (length: number) => Uint8Array<ArrayBuffer> {
  let count = 0;
  return (length) => {
    const blocks: Buffer[] = [];
    for (let made = 0; made < length; made += 32)
      blocks.push(createHash("sha256").update(`${seed} ${count++}`).digest());
    return new Uint8Array(Buffer.concat(blocks).subarray(0, length));
  };
}

/** Bytes for file contents: quick to make, and not to be compressed. */
export function noise(seed: number, length: number): Buffer {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = (seed * 2_654_435_761 + 1) >>> 0;
  for (let at = 0; at < words.length; at++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[at] = state;
  }
  return Buffer.from(words.buffer, 0, length);
}

export async function makeRepository(store: ObjectStore, chunking: Chunking = SMALL, seed = "init"): Promise<void> {
  await initRepository(store, {
    passphrase: PASSPHRASE,
    random: randomFrom(seed),
    now: () => NOW,
    chunking,
    scryptCost: SCRYPT_COST,
  });
}

export function open(store: ObjectStore, threads = 2): Promise<Repository> {
  return openRepository(store, { passphrase: PASSPHRASE, threads, now: () => NOW });
}

export type Trial = AsyncDisposable & { store: ObjectStore; repository: Repository };

/** A new repository in memory. */
export async function trial(chunking: Chunking = SMALL, store: ObjectStore = memoryStore(() => NOW)): Promise<Trial> {
  await makeRepository(store, chunking);
  const repository = await open(store);
  return { store, repository, [Symbol.asyncDispose]: () => repository[Symbol.asyncDispose]() };
}

export function head(backupId: string, type: BackupHead["type"] = "full"): BackupHead {
  return {
    backupId,
    plan: "shop",
    source: "orders",
    kind: "postgres",
    type,
    runId: "018f0000-0000-7000-8000-000000000001",
    startedAt: "2026-01-02T03:04:05.000Z",
  };
}

export type Item = { entry: TreeEntry; body: Buffer };

export function file(path: string, body: Buffer, hint: ChunkHint = "content"): Item {
  return { entry: { type: "file", path, mode: 0o640, mtimeMs: 1_700_000_000_000, size: body.length, hint }, body };
}

/** The entries as a tar, in pieces of `pieceBytes`. */
export async function* tarOf(items: Iterable<Item>, pieceBytes = 65_536): AsyncGenerator<Uint8Array> {
  const writer = createTarWriter();
  const write = async () => {
    for (const { entry, body } of items)
      await writer.add(
        entry,
        (async function* () {
          if (body.length > 0) yield body;
        })(),
      );
    writer.end();
  };
  write().catch((error: unknown) => writer.fail(error));
  for await (const bytes of writer.stream)
    for (let at = 0; at < bytes.length; at += pieceBytes) yield bytes.subarray(at, at + pieceBytes);
}

export type Restored = { entry: TarEntry; body: Buffer };

export async function unpack(tar: AsyncIterable<Uint8Array>): Promise<Restored[]> {
  const items: Restored[] = [];
  for await (const { entry, body } of readTar(tar)) {
    const pieces: Uint8Array[] = [];
    for await (const piece of body) pieces.push(Uint8Array.from(piece));
    items.push({ entry, body: Buffer.concat(pieces) });
  }
  return items;
}

/** Path and hash of every file, to compare trees without printing them. */
export function digests(items: readonly { entry: { type: string; path: string }; body: Buffer }[]): string[] {
  return items
    .filter(({ entry }) => entry.type === "file")
    .map(({ entry, body }) => `${entry.path} ${body.length} ${createHash("sha256").update(body).digest("hex")}`);
}

export async function namesIn(store: ObjectStore, prefix = ""): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}
