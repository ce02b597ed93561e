import { createHash } from "node:crypto";
import { objectDamaged } from "../format/damage.ts";
import {
  change,
  condemned,
  hold,
  lease,
  manifest,
  readDocument,
  record,
  sealedPoint,
  signed,
} from "../format/documents.ts";
import { decodeIndex } from "../format/index-format.ts";
import { objectName, packIdOf, type SealedKind } from "../format/kinds.ts";
import { openPackTrailer } from "../format/pack-format.ts";
import { openObject } from "../format/sealed-object.ts";
import { verifiedTail } from "../format/tail-format.ts";
import { decodeSlot, isGenuine } from "../keys/key-slot.ts";
import { verifiedStatement } from "../keys/signing.ts";
import { verifyInClear } from "../keys/verify-in-clear.ts";
import { gapOf, isGapId } from "../log/gaps.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { kindOf } from "./kinds-replicated.ts";

export type VerifyContext = Pick<RepositoryContext, "ring" | "pool">;

const SCHEMAS = {
  backups: manifest,
  points: sealedPoint,
  holds: hold,
  records: record,
  changes: change,
  leases: lease,
};

/** Sealed bytes that are opened at once: their plain bytes come back, and need memory too. */
const OPENED_BYTES = 4 * 1024 * 1024;

/** The whole pack: its list, and every chunk in its place and by its name. */
async function verifyPack({ ring, pool }: VerifyContext, object: string, bytes: Uint8Array): Promise<void> {
  const { pack, entries } = openPackTrailer(object, bytes, ring.epochs);
  const epoch = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).readUInt32BE(8);
  const left = entries.map((entry, position) => ({ ...entry, position })).sort((a, b) => a.offset - b.offset);
  while (left.length > 0) {
    const begin = left[0]?.offset ?? 0;
    const far = left.findIndex(({ offset, length }) => offset + length - begin > OPENED_BYTES);
    const some = left.splice(0, far < 0 ? left.length : Math.max(1, far));
    const end = some.reduce((most, { offset, length }) => Math.max(most, offset + length), begin);
    const part = Uint8Array.from(bytes.subarray(begin, end));
    const { chunks } = await pool.run(
      {
        task: "open",
        range: part,
        chunks: some.map(({ offset, ...chunk }) => ({ ...chunk, start: offset - begin })),
        header: pack.header,
        key: pack.key,
        epoch,
      },
      [part.buffer],
    );
    const bad = chunks.findIndex((chunk) => typeof chunk === "string");
    if (bad >= 0) throw objectDamaged(object, `chunk ${some[bad]?.position}: ${String(chunks[bad])}`);
  }
}

function verifySealed({ ring }: VerifyContext, kind: SealedKind, object: string, bytes: Uint8Array): void {
  const id = object.slice(objectName(kind, "").length);
  if (kind === "index" || kind === "condemned") {
    const digest = createHash("sha256").update(bytes).digest("hex");
    if (!id.endsWith(digest)) throw objectDamaged(object, "its bytes are not those that its name says");
    const sealedAs = kind === "index" ? "" : id.slice(0, -digest.length - 1);
    const plain = openObject(kind, sealedAs, object, bytes, ring.epochs);
    if (kind === "index") decodeIndex(object, plain);
    else readDocument(condemned, object, plain);
    return;
  }
  const plain = openObject(kind, id, object, bytes, ring.epochs);
  if (kind === "tails") verifiedTail(object, plain);
  else if (kind === "proofs") verifiedStatement(object, readDocument(signed, object, plain), ring.trustedKeys);
  else if (kind === "records" && isGapId(id)) gapOf(readDocument(record, object, plain));
  else readDocument(SCHEMAS[kind], object, plain);
}

/**
 * Throws OBJECT_DAMAGED unless these are the bytes that were written under this name. Of a key slot that an attempt left,
 * for a key that this repository does not have, only the form is looked at.
 */
export async function verifyObject(context: VerifyContext, object: string, bytes: Uint8Array): Promise<void> {
  const kind = kindOf(object);
  if (kind === undefined) throw objectDamaged(object, "it is no object of a repository");
  if (kind === "packs") {
    if (packIdOf(object).length !== 64) throw objectDamaged(object, "its name is not a pack's");
    return verifyPack(context, object, bytes);
  }
  if (kind === "config" || kind === "epochs") return verifyInClear(context.ring, object, bytes);
  if (kind === "keys") {
    const slot = decodeSlot(object, bytes);
    const { master, mastersBefore, repositoryId } = context.ring;
    const key = [master, ...mastersBefore].find((each) => each.master === slot.document.master);
    if (key !== undefined && !isGenuine(slot, key, repositoryId))
      throw objectDamaged(object, "it was not written by who had the repository's key");
    return;
  }
  verifySealed(context, kind, object, bytes);
}
