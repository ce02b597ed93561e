import { createHash } from "node:crypto";
import { readTar } from "./tar-reader.ts";

/** SHA-256 of a tar's files, their paths and bytes: of two tars it is the same where they hold the same files. */
export async function treeDigest(tar: AsyncIterable<Uint8Array>): Promise<string> {
  const files = new Map<string, string>();
  for await (const { entry, body } of readTar(tar)) {
    if (entry.type !== "file") continue;
    const hash = createHash("sha256");
    for await (const bytes of body) hash.update(bytes);
    files.set(entry.path, hash.digest("hex"));
  }
  const sorted = [...files].sort(([a], [b]) => (a < b ? -1 : 1));
  return createHash("sha256").update(JSON.stringify(sorted)).digest("hex");
}
