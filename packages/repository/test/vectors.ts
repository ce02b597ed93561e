import { createHash, createHmac } from "node:crypto";
import { memoryStore } from "@stillpoint/object-store/memory";
import { CUT, CUTTER_START, cutter } from "../src/chunking/cutter.ts";
import { gearTable } from "../src/chunking/gear.ts";
import { DATA_CHUNK, TREE_CHUNK } from "../src/format/chunk-type.ts";
import { type Manifest, manifest } from "../src/format/documents.ts";
import { encodeIndex } from "../src/format/index-format.ts";
import { objectName, type SealedKind } from "../src/format/kinds.ts";
import { OBJECT_IDS } from "../src/format/object-ids.ts";
import { type EpochKeys, sealObject } from "../src/format/sealed-object.ts";
import { encodeTail } from "../src/format/tail-format.ts";
import { deriveKey, LABELS } from "../src/keys/derive.ts";
import { openKeyRing } from "../src/keys/key-ring.ts";
import { signStatement } from "../src/keys/signing.ts";
import { openRepository } from "../src/repository.ts";
import { type KeyVectors, keyVectors } from "./key-vectors.ts";
import {
  digests,
  file,
  head,
  type Item,
  makeRepository,
  NOW,
  noise,
  PASSPHRASE,
  randomFrom,
  SMALL,
  tarOf,
} from "./trial.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const nothing = new Uint8Array(0);
const instant = "2026-01-02T03:04:05.678Z";
const uuid = (n: number) => `018f0000-0000-7000-8000-${String(n).padStart(12, "0")}`;

/** The documents of every kind that is one sealed document, as an implementation must find them. */
export function documents(): { kind: SealedKind; id: string; plain: Buffer }[] {
  const json = (value: unknown) => Buffer.from(JSON.stringify(value), "utf8");
  const tailBytes = Buffer.from("the bytes of a log since its last flush");
  const tail = { source: "orders", stream: "00000001", from: "0-16B3748", to: "0-16B3800", fenceToken: 7 };
  return [
    {
      kind: "index",
      id: "",
      plain: encodeIndex({
        supersedes: ["11".repeat(32)],
        packs: [
          {
            packId: "22".repeat(32),
            epoch: 1,
            length: 1234,
            entries: [
              { name: Buffer.alloc(32, 0x33), type: DATA_CHUNK, offset: 44, length: 700 },
              { name: Buffer.alloc(32, 0x44), type: TREE_CHUNK, offset: 744, length: 300 },
            ],
          },
        ],
      }),
    },
    {
      kind: "tails",
      id: OBJECT_IDS.tail(tail),
      plain: encodeTail(
        {
          ...tail,
          plan: "shop",
          sha256: createHash("sha256").update(tailBytes).digest("hex"),
          writtenAt: instant,
        },
        tailBytes,
      ),
    },
    {
      kind: "holds",
      id: OBJECT_IDS.hold(uuid(1), uuid(2)),
      plain: json({ holdId: uuid(2), pointId: uuid(1), reason: "audit", by: "alice", placedAt: instant }),
    },
    {
      kind: "records",
      id: uuid(3),
      plain: json({
        recordId: uuid(3),
        type: "gap",
        at: instant,
        detail: { source: "orders", from: "0/1", to: "0/2" },
      }),
    },
    {
      kind: "changes",
      id: OBJECT_IDS.change(12, uuid(4)),
      plain: json({
        changeId: uuid(4),
        sequence: 12,
        change: "delete",
        object: `points/${uuid(1)}`,
        detail: {},
        by: "retention",
        at: instant,
      }),
    },
    {
      kind: "leases",
      id: OBJECT_IDS.lease("vault-1", 3),
      plain: json({
        holder: "vault-1",
        sequence: 3,
        role: "writer",
        generation: 2,
        backups: [],
        lengthMs: 600_000,
        sinceMs: 1_767_323_045_678,
      }),
    },
    {
      kind: "condemned",
      id: OBJECT_IDS.condemned(2),
      plain: json({
        generation: 2,
        objects: [`packs/22/${"22".repeat(32)}`],
        spared: [`packs/33/${"33".repeat(32)}`],
        sweeps: [],
        before: [`condemned/00000001-${"11".repeat(32)}`],
      }),
    },
  ];
}

/** The content of the repository that the vectors hold. */
export function items(): Item[] {
  const metadata = { mode: 0o750, uid: 1000, gid: 1000, mtimeMs: 1_700_000_000_500 };
  return [
    { entry: { type: "directory", path: "base", ...metadata }, body: Buffer.alloc(0) },
    file("base/pages", Buffer.concat([noise(1, 8_192), Buffer.alloc(180_224)]), "page:8192"),
    file("base/one", Buffer.from("a small file\n")),
    file("base/two", Buffer.from("another small file\n")),
    file("text", Buffer.from("much of the same, ".repeat(3_000))),
    file("noise", noise(2, 30_000)),
    { entry: { type: "symlink", path: "link", target: "base/one", ...metadata }, body: Buffer.alloc(0) },
    { entry: { type: "deleted", path: "old" }, body: Buffer.alloc(0) },
  ];
}

/** Plain values of what is derived; none of them depends on a compressor. */
async function derivations(objects: ReadonlyMap<string, { bytes: Uint8Array }>) {
  const store = memoryStore(
    () => NOW,
    new Map([...objects].map(([name, held]) => [name, { ...held, modifiedMs: NOW }])),
  );
  const { ring } = await openKeyRing(store, PASSPHRASE);
  const epochKey = ring.epochs.keyOf(1) ?? nothing;
  const salt = Buffer.alloc(32, 0x5a);
  const table = gearTable(epochKey);
  const body = noise(7, 400_000);
  const lengths: number[] = [];
  const piece = { cut: CUT.content, length: body.length, begins: true, ends: true, earlier: [] };
  cutter(SMALL, table).cut(body, 0, [piece], CUTTER_START, lengths);
  const nameKey = (label: string) => deriveKey(epochKey, nothing, label);
  const named = Buffer.from("the plain bytes of a chunk");
  const nameOf = (label: string) => createHmac("sha256", nameKey(label)).update(named).digest("hex");
  return {
    repositoryId: ring.repositoryId,
    repositoryKey: hex(ring.master.key),
    epochKey: hex(epochKey),
    signingKey: ring.signing.publicKey,
    derivedKey: hex(deriveKey(ring.master.key, Buffer.from(ring.repositoryId, "utf8"), LABELS.derived("ticket"))),
    objectKey: { salt: hex(salt), kind: "points", key: hex(deriveKey(epochKey, salt, LABELS.object("points"))) },
    packKey: { packId: hex(salt), key: hex(deriveKey(epochKey, salt, LABELS.pack)) },
    chunkName: { plain: named.toString("utf8"), data: nameOf(LABELS.dataName), tree: nameOf(LABELS.treeName) },
    gear: { first: [...table.subarray(0, 4)], sha256: createHash("sha256").update(table).digest("hex") },
    cuts: { bodySha256: createHash("sha256").update(body).digest("hex"), lengths },
    signed: signStatement(ring.signing, { a: "statement" }),
    epochs: ring.epochs,
  };
}

export type Vectors = {
  keys: KeyVectors;
  derived: Omit<Awaited<ReturnType<typeof derivations>>, "epochs">;
  documents: { kind: SealedKind; id: string; plain: string; sealed: string }[];
  /** A whole repository, by objects' names, in base64. */
  objects: Record<string, string>;
  manifest: Manifest;
  restored: string[];
};

/** Made with randomness and a clock that are the same every time; what zstd makes of it may change with its version. */
export async function makeVectors(): Promise<Vectors> {
  const objects = new Map<string, { bytes: Uint8Array; modifiedMs: number }>();
  const store = memoryStore(() => NOW, objects);
  await makeRepository(store);
  const random = randomFrom("vectors");
  const repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 1, random, now: () => NOW });
  await repository.writeBackup(head("vector"), tarOf(items()));
  await repository[Symbol.asyncDispose]();
  const { epochs, ...derived } = await derivations(objects);
  return {
    keys: await keyVectors(),
    derived,
    documents: documents().map(({ kind, id, plain }) => ({
      kind,
      id,
      plain: plain.toString("base64"),
      sealed: Buffer.from(sealObject(kind, id, plain, epochs, random)).toString("base64"),
    })),
    objects: Object.fromEntries(
      [...objects]
        .sort(([a], [b]) => (a < b ? -1 : 1))
        .map(([name, { bytes }]) => [name, Buffer.from(bytes).toString("base64")]),
    ),
    manifest: await readManifest(objects, epochs),
    restored: digests(items()),
  };
}

async function readManifest(objects: ReadonlyMap<string, { bytes: Uint8Array }>, epochs: EpochKeys): Promise<Manifest> {
  const { openObject } = await import("../src/format/sealed-object.ts");
  const name = objectName("backups", "vector");
  const bytes = objects.get(name)?.bytes ?? nothing;
  return manifest.parse(JSON.parse(openObject("backups", "vector", name, bytes, epochs).toString("utf8")));
}
