import { createHash } from "node:crypto";
import type { z } from "zod";
import { objectDamaged } from "./damage.ts";
import { readDocument, tailHead } from "./documents.ts";
import { objectName } from "./kinds.ts";
import { OBJECT_IDS } from "./object-ids.ts";

export type TailHead = z.infer<typeof tailHead>;

/** The plain bytes of a tail: length of the head 4, head as JSON, the log's bytes. */
export function encodeTail(head: TailHead, bytes: Uint8Array): Buffer {
  const json = Buffer.from(JSON.stringify(head), "utf8");
  const length = Buffer.alloc(4);
  length.writeUInt32BE(json.length, 0);
  return Buffer.concat([length, json, bytes]);
}

export function decodeTail(object: string, plain: Buffer): { head: TailHead; bytes: Buffer } {
  const length = plain.length < 4 ? Number.POSITIVE_INFINITY : plain.readUInt32BE(0);
  if (length > plain.length - 4) throw objectDamaged(object, "its head is cut short");
  const head = readDocument(tailHead, object, plain.subarray(4, 4 + length));
  return { head, bytes: plain.subarray(4 + length) };
}

/** As `decodeTail`, and its bytes are those that its head speaks of, and its name is its head's. */
export function verifiedTail(object: string, plain: Buffer): { head: TailHead; bytes: Buffer } {
  const tail = decodeTail(object, plain);
  if (objectName("tails", OBJECT_IDS.tail(tail.head)) !== object)
    throw objectDamaged(object, "its name is not the one that its head says");
  if (createHash("sha256").update(tail.bytes).digest("hex") !== tail.head.sha256)
    throw objectDamaged(object, "its bytes are not those that its head speaks of");
  return tail;
}
