import { readFile } from "node:fs/promises";
import { memoryStore } from "@stillpoint/object-store/memory";
import { beforeAll, describe, expect, it } from "vitest";
import { decodeTwoLines } from "../src/format/authenticated-text.ts";
import { change, condemned, config, hold, lease, readDocument, record } from "../src/format/documents.ts";
import { decodeIndex, encodeIndex } from "../src/format/index-format.ts";
import { OBJECT_KINDS, objectName } from "../src/format/kinds.ts";
import { openObject, sealObject } from "../src/format/sealed-object.ts";
import { decodeTail } from "../src/format/tail-format.ts";
import { type Block, decodeTreeItems, encodeBlocks, encodeEntry } from "../src/format/tree-format.ts";
import { followEpochs } from "../src/keys/epoch-chain.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { decodeSlot, openSlot } from "../src/keys/key-slot.ts";
import { verifiedStatement } from "../src/keys/signing.ts";
import { epochOf, keyVectors } from "./key-vectors.ts";
import { digests, NOW, open, PASSPHRASE, randomFrom, unpack } from "./trial.ts";
import { documents, makeVectors, type Vectors } from "./vectors.ts";

let frozen: Vectors;
beforeAll(async () => {
  frozen = JSON.parse(await readFile(new URL("./vectors/format-1.json", import.meta.url), "utf8"));
});

function frozenStore() {
  return memoryStore(
    () => NOW,
    new Map(
      Object.entries(frozen.objects).map(([name, text]) => [
        name,
        { bytes: new Uint8Array(Buffer.from(text, "base64")), modifiedMs: NOW },
      ]),
    ),
  );
}

describe("the frozen vectors", () => {
  it("are a repository that opens, checks clean and restores byte by byte", async () => {
    await using repository = await open(frozenStore(), 1);
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    expect(digests(await unpack(repository.readBackup("vector")))).toEqual(frozen.restored);
    expect(await repository.headBackup("vector")).toEqual(frozen.manifest.figures);
  });

  it("hold every derived value, name, boundary and signature as this code makes it", async () => {
    const now = await makeVectors();
    expect(now.derived).toEqual(frozen.derived);
    expect(now.manifest.tree).toEqual(frozen.manifest.tree);
    expect(now.manifest.figures.checksum).toEqual(frozen.manifest.figures.checksum);
    for (const name of ["config", "epochs/00000001"]) expect(now.objects[name]).toBe(frozen.objects[name]);
    const { signed, signingKey } = frozen.derived;
    expect(verifiedStatement("proofs/x", signed, [signingKey]).toString()).toBe('{"a":"statement"}');
  });

  it("hold a key slot of every method, which opens with its secret and no other, and a chain of epochs", async () => {
    expect(await keyVectors()).toEqual(frozen.keys);
    const { repositoryId, repositoryKey, slots, epochs, next } = frozen.keys;
    for (const [index, { method, name, object, secret }] of slots.entries()) {
      const slot = decodeSlot(name, Buffer.from(object));
      const by = (bytes: Buffer) => ({
        method,
        shown: method,
        seal: () => Promise.reject(new Error("unused")),
        open: async () => bytes,
      });
      const opened = await openSlot(slot, by(Buffer.from(secret, "hex")), repositoryId);
      expect(Buffer.from(opened?.key ?? []).toString("hex")).toBe(repositoryKey);
      const other = Buffer.from(slots[(index + 1) % slots.length]?.secret ?? "", "hex");
      expect(await openSlot(slot, by(other), repositoryId)).toBeUndefined();
    }
    const read = epochs.map(({ name, object }) => {
      const bytes = Buffer.from(object);
      return { name, bytes, document: epochOf(name, bytes) };
    });
    const newest = { master: next.master, key: Buffer.from(next.repositoryKey, "hex") };
    const bytes = Buffer.from(frozen.keys.config);
    const document = readDocument(config, "config", decodeTwoLines("config", bytes).line);
    const followed = followEpochs(repositoryId, newest, read, { config: document, bytes });
    expect([...followed.keys].map(([number, key]) => [number, Buffer.from(key).toString("hex")])).toEqual([
      [2, epochs[1]?.key],
      [1, epochs[0]?.key],
    ]);
  });

  it("hold a document of every kind that is not written yet, and each opens under its own id only", async () => {
    const { ring } = await openKeyRing(frozenStore(), PASSPHRASE);
    const expected = documents();
    expect(frozen.documents.map(({ kind, id }) => `${kind} ${id}`)).toEqual(
      expected.map(({ kind, id }) => `${kind} ${id}`),
    );
    frozen.documents.forEach(({ kind, id, sealed }, i) => {
      const bytes = new Uint8Array(Buffer.from(sealed, "base64"));
      const name = objectName(kind, id);
      expect(openObject(kind, id, name, bytes, ring.epochs).equals(expected[i]?.plain ?? Buffer.alloc(0))).toBe(true);
      expect(() => openObject(kind, `${id}x`, name, bytes, ring.epochs)).toThrow("not those that were sealed");
      const other = kind === "holds" ? "leases" : "holds";
      expect(() => openObject(other, id, name, bytes, ring.epochs)).toThrow(`not of kind ${other}`);
    });
  });
});

describe("a document", () => {
  it("of each kind is read by its schema", () => {
    const schemas = { holds: hold, records: record, changes: change, leases: lease, condemned };
    for (const { kind, id, plain } of documents()) {
      if (kind === "index") expect(decodeIndex(id, plain).packs[0]?.entries).toHaveLength(2);
      else if (kind === "tails") expect(decodeTail(id, plain).bytes.toString()).toContain("since its last flush");
      else expect(readDocument(schemas[kind as keyof typeof schemas], id, plain)).toEqual(JSON.parse(plain.toString()));
    }
  });

  it("that is cut short anywhere is damage, and never less of the same", () => {
    for (const { kind, id, plain } of documents())
      for (let length = 0; length < plain.length; length += 7) {
        const cut = plain.subarray(0, length);
        if (kind === "index") expect(() => decodeIndex(id, cut)).toThrow("damaged");
        else if (kind === "tails" && length < 200) expect(() => decodeTail(id, cut)).toThrow("damaged");
      }
  });

  it("sealed twice shares no byte of key or text with the first time", async () => {
    const { ring } = await openKeyRing(frozenStore(), PASSPHRASE);
    const random = randomFrom("twice");
    const plain = Buffer.alloc(100, "the same plain text ");
    const [a, b] = [1, 2].map(() => Buffer.from(sealObject("points", "x", plain, ring.epochs, random)));
    expect(a?.subarray(0, 12).equals(b?.subarray(0, 12) ?? Buffer.alloc(0))).toBe(true);
    expect(a?.subarray(12).equals(b?.subarray(12) ?? Buffer.alloc(0))).toBe(false);
    expect(a?.includes("same plain")).toBe(false);
  });
});

describe("kinds", () => {
  it("have codes and folders that are given out once", () => {
    const kinds = Object.values(OBJECT_KINDS);
    expect(new Set(kinds.map(({ code }) => code)).size).toBe(kinds.length);
    expect(new Set(kinds.map(({ folder }) => folder)).size).toBe(kinds.length);
  });

  it("are those of the page about the format, with their codes", async () => {
    const page = await readFile(new URL("../../../docs/repository-format.md", import.meta.url), "utf8");
    const rows = [...page.matchAll(/^\| ([a-z]+) \| (\d+) \| `([a-z]+)/gm)].map(([, kind, code, folder]) => [
      kind,
      Number(code),
      folder,
    ]);
    expect(rows).toEqual(Object.entries(OBJECT_KINDS).map(([kind, { code, folder }]) => [kind, code, folder]));
  });
});

describe("a tree", () => {
  it("holds blocks of 1 to 16 extents, and refuses others", () => {
    const extent = (n: number) => ({ chunk: Buffer.alloc(32, n), offset: n * 10, length: n + 1 });
    const blocks: Block[] = [[extent(1)], Array.from({ length: 16 }, (_, n) => extent(n))];
    const entry = { type: "file", path: "f", mode: 0o600, mtimeMs: 1, size: 3, hint: "content" } as const;
    const bytes = Buffer.concat([encodeEntry(entry), encodeBlocks(blocks)]);
    const [first, second] = [...decodeTreeItems("t", bytes)];
    expect(first).toEqual({ item: "entry", entry });
    expect(second?.item === "blocks" && second.blocks.map((block) => block.length)).toEqual([1, 16]);
    for (const count of [0, 17]) {
      const wrong = encodeBlocks([[extent(1)]]);
      wrong[5] = count;
      expect(() => [...decodeTreeItems("t", wrong)]).toThrow("no blocks");
    }
    for (let length = 1; length < bytes.length; length += 5)
      if (length !== encodeEntry(entry).length)
        expect(() => [...decodeTreeItems("t", bytes.subarray(0, length))]).toThrow();
  });
});

describe("an index", () => {
  it("comes back as it went in, without packs too", () => {
    const empty = { supersedes: [], packs: [] };
    expect(decodeIndex("i", encodeIndex(empty))).toEqual(empty);
  });
});
