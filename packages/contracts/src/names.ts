import { createHash } from "node:crypto";
import { z } from "zod";

/** Names of plans, sources and sites: one token of a NATS subject, one component of a path. */
export const name = z.string().regex(/^[a-z0-9-]{1,40}$/, "must be 1–40 of a-z, 0-9 and -");
export const uuid = z.uuid();
/** RFC 3339, UTC, milliseconds. */
export const instant = z.iso.datetime({ precision: 3 });
export const token = z.string().regex(/^[A-Za-z0-9_-]{1,80}$/, "must be 1–80 of A-Z, a-z, 0-9, _ and -");
/** Run, source, fence token and try: `<runId>_<source>_<fenceToken>_<part><try>`. */
export const backupId = z.string().regex(/^[A-Za-z0-9_-]{1,120}$/, "must be 1–120 of A-Z, a-z, 0-9, _ and -");
export const sha256 = z.string().regex(/^[0-9a-f]{64}$/);

export const SOURCE_KINDS = ["postgres", "neo4j", "qdrant", "sqlite", "files"] as const;
export const sourceKind = z.enum(SOURCE_KINDS);
export type SourceKind = z.infer<typeof sourceKind>;

/** `full` stands alone; `incremental` and `log` are laid over the full, and what followed it, of the same source. */
export const backupType = z.enum(["full", "incremental", "log"]);
export type BackupType = z.infer<typeof backupType>;

export const consistencyClass = z.enum(["fenced", "aligned", "fuzzy"]);
export type ConsistencyClass = z.infer<typeof consistencyClass>;

export const verdict = z.enum(["pass", "fail", "inconclusive"]);
export type Verdict = z.infer<typeof verdict>;

export function toInstant(epochMs: number): string {
  return new Date(epochMs).toISOString();
}

function format(bytes: Buffer): string {
  const hex = bytes.toString("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

/** UUIDv7 (RFC 9562, 5.7) of a moment and at least 10 random bytes: sorts by time. */
export function uuidv7(epochMs: number, random: Uint8Array): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(epochMs, 0, 6);
  Buffer.from(random).copy(bytes, 6, 0, 10);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x70;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return format(bytes);
}

/**
 * UUIDv8 (RFC 9562, 5.8) derived from words: the first 48 bits are the moment, so that derived ids sort by time too, the
 * rest is SHA-256 of the words. The same moment and words give the same id, so asking twice is asking once.
 */
export function uuidv8(epochMs: number, ...words: string[]): string {
  const bytes = Buffer.alloc(16);
  bytes.writeUIntBE(epochMs, 0, 6);
  createHash("sha256").update(words.join("\n")).digest().copy(bytes, 6, 0, 10);
  bytes[6] = ((bytes[6] ?? 0) & 0x0f) | 0x80;
  bytes[8] = ((bytes[8] ?? 0) & 0x3f) | 0x80;
  return format(bytes);
}
