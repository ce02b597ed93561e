import type { z } from "zod";
import { objectDamaged } from "./damage.ts";
import { readDocument, tailHead } from "./documents.ts";

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
