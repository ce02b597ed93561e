import { createHash } from "node:crypto";
import { open } from "node:fs/promises";

const RECORD_BYTES = 9;
const IN_USE = 1;

/**
 * The first two records of a `neostore` file are the halves of the store's UUID; the server shows the SHA-256 of it as
 * the database's id. Undefined: the file is of another layout.
 */
export function databaseIdOf(neostore: Buffer): string | undefined {
  if (neostore.length < 2 * RECORD_BYTES) return undefined;
  if (neostore[0] !== IN_USE || neostore[RECORD_BYTES] !== IN_USE) return undefined;
  const hex = neostore.toString("hex", 1, 9) + neostore.toString("hex", 10, 18);
  const uuid = hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
  return createHash("sha256").update(uuid).digest("hex").toUpperCase();
}

export async function readDatabaseId(neostorePath: string): Promise<string | undefined> {
  await using file = await open(neostorePath);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(2 * RECORD_BYTES), 0, 2 * RECORD_BYTES, 0);
  return databaseIdOf(buffer.subarray(0, bytesRead));
}
