import { StillpointError } from "@stillpoint/contracts/errors";

/**
 * The transaction ids that a bookmark stands for, by the database's UUID. A bookmark is `FB:` and base64 of packstream:
 * a list of (16 bytes of UUID, transaction id) pairs, then a list of other graphs, which this store does not have.
 */
export function decodeBookmark(bookmark: string): Map<string, number> {
  const bytes = Buffer.from(bookmark.startsWith("FB:") ? bookmark.slice(3) : "", "base64");
  const header = bytes[0] ?? 0;
  if ((header & 0xf0) !== 0x90) throw unreadable(bookmark);
  const transactions = new Map<string, number>();
  let at = 1;
  for (let left = header & 0x0f; left > 0; left -= 1) {
    if (bytes[at] !== 0xcc || bytes[at + 1] !== 16 || at + 19 > bytes.length) throw unreadable(bookmark);
    const uuid = bytes.toString("hex", at + 2, at + 18);
    const { value, next } = integerAt(bytes, at + 18, bookmark);
    transactions.set(uuid, value);
    at = next;
  }
  return transactions;
}

function integerAt(bytes: Buffer, at: number, bookmark: string): { value: number; next: number } {
  const marker = bytes[at] ?? 0;
  if (marker < 0x80) return { value: marker, next: at + 1 };
  const width = { 200: 1, 201: 2, 202: 4, 203: 8 }[marker];
  if (width === undefined || at + 1 + width > bytes.length) throw unreadable(bookmark);
  const value = width === 8 ? Number(bytes.readBigInt64BE(at + 1)) : bytes.readIntBE(at + 1, width);
  return { value, next: at + 1 + width };
}

function unreadable(bookmark: string): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot read the server's bookmark",
    where: bookmark.slice(0, 200),
    why: "it is not of the form that Neo4j 5.26 gives",
  });
}
