import { createHmac, timingSafeEqual } from "node:crypto";
import { deriveKey, LABELS } from "../keys/derive.ts";
import { objectDamaged } from "./damage.ts";

/** Two lines of text: a document in clear, and what proves or seals it. For objects that are read before any key is open. */
export function encodeTwoLines(document: unknown, second: string): Buffer {
  return Buffer.from(`${JSON.stringify(document)}\n${second}\n`, "utf8");
}

export function decodeTwoLines(object: string, bytes: Uint8Array): { line: Buffer; second: string } {
  const text = Buffer.from(bytes).toString("utf8").split("\n");
  const [line, second, rest] = text;
  if (line === undefined || second === undefined || rest !== "") throw objectDamaged(object, "it is not two lines");
  return { line: Buffer.from(line, "utf8"), second };
}

/** Binds the object's name too, so that no document stands in for another. */
export function macOf(masterKey: Uint8Array, repositoryId: string, object: string, line: Uint8Array): string {
  const key = deriveKey(masterKey, Buffer.from(repositoryId, "utf8"), LABELS.mac);
  return createHmac("sha256", key).update(object).update("\n").update(line).digest("hex");
}

export function assertMac(masterKey: Uint8Array, repositoryId: string, object: string, bytes: Uint8Array): void {
  const { line, second } = decodeTwoLines(object, bytes);
  const expected = Buffer.from(macOf(masterKey, repositoryId, object, line), "utf8");
  const actual = Buffer.from(second, "utf8");
  if (actual.length !== expected.length || !timingSafeEqual(actual, expected))
    throw objectDamaged(object, "it is not what the repository's key signed");
}
