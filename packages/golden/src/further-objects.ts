import { createHash, randomBytes } from "node:crypto";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { objectName, type SealedKind } from "@stillpoint/repository/format/kinds";
import { OBJECT_IDS } from "@stillpoint/repository/format/object-ids";
import { sealObject } from "@stillpoint/repository/format/sealed-object";
import { encodeTail } from "@stillpoint/repository/format/tail-format";
import type { KeyRing } from "@stillpoint/repository/keys/key-ring";
import { noise } from "./crafted-trees.ts";
import { GOLDEN_AT, goldenId } from "./golden-points.ts";

/** Objects of the kinds that no part of this release writes: their form is of version 1 like the others'. */
export async function writeFurtherObjects(store: ObjectStore, { epochs }: KeyRing): Promise<void> {
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
}
