import { createHash, randomBytes } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { decodeIndex, encodeIndex } from "@stillpoint/repository/format/index-format";
import { objectName, type SealedKind } from "@stillpoint/repository/format/kinds";
import { OBJECT_IDS } from "@stillpoint/repository/format/object-ids";
import { openObject, sealObject } from "@stillpoint/repository/format/sealed-object";
import { encodeTail } from "@stillpoint/repository/format/tail-format";
import type { KeyRing } from "@stillpoint/repository/keys/key-ring";
import { noise } from "./crafted-trees.ts";
import { GOLDEN_AT, goldenId } from "./golden-points.ts";

const FEW = 3;

/**
 * Objects that this release writes never, or only after much more than fits here: records, tails, a lease that lives, a
 * generation of condemned packs, an index in which others were merged.
 */
export async function writeFurtherObjects(
  store: ObjectStore,
  { epochs }: KeyRing,
  orphans: readonly string[],
): Promise<void> {
  const put = (kind: SealedKind, id: string, plain: Uint8Array) =>
    store.put(
      objectName(kind, id),
      sealObject(kind, id, plain, epochs, (length) => new Uint8Array(randomBytes(length))),
      {
        ifAbsent: true,
      },
    );
  const json = (value: unknown) => Buffer.from(JSON.stringify(value), "utf8");
  for (const [n, type] of (["drill", "incident", "audit", "gap"] as const).entries()) {
    const recordId = goldenId(600 + n);
    await put("records", recordId, json({ recordId, type, at: GOLDEN_AT, detail: { source: "orders", n } }));
  }
  for (const n of [0, 1]) {
    const bytes = noise(`tail ${n}`, 3_000);
    const at = { source: "orders", stream: "00000001", from: `0-${n}000`, to: `0-${n + 1}000`, fenceToken: 7 };
    const sha256 = createHash("sha256").update(bytes).digest("hex");
    const tail = encodeTail({ ...at, plan: "shop", sha256, writtenAt: GOLDEN_AT }, bytes);
    await put("tails", OBJECT_IDS.tail(at), tail);
  }
  const lease = { holder: "golden", sequence: 1, role: "reader", generation: 1, lengthMs: 1_000 };
  await put(
    "leases",
    OBJECT_IDS.lease(lease.holder, 1),
    json({ ...lease, backups: [], sinceMs: Date.parse(GOLDEN_AT) }),
  );
  const random = (length: number) => new Uint8Array(randomBytes(length));
  const hashed = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
  const generation = { generation: 1, objects: orphans, spared: [], sweeps: [], before: [] };
  const condemned = sealObject("condemned", OBJECT_IDS.condemned(1), json(generation), epochs, random);
  await store.put(objectName("condemned", `${OBJECT_IDS.condemned(1)}-${hashed(condemned)}`), condemned);

  const indexes = await namesIn(store, "index/");
  const merged = await Promise.all(
    indexes.map(async (name) => decodeIndex(name, openObject("index", "", name, await store.get(name), epochs))),
  );
  const supersedes = indexes.map((name) => name.slice("index/".length));
  const content = encodeIndex({ supersedes, packs: merged.flatMap(({ packs }) => packs) });
  const index = sealObject("index", "", content, epochs, random);
  await store.put(objectName("index", hashed(index)), index);
  // Some of what was merged may still be there.
  for (const name of indexes.slice(FEW)) await store.delete(name);
}

export async function namesIn(store: ObjectStore, prefix: string): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of store.list(prefix)) names.push(name);
  return names;
}
