import { logPosition } from "@stillpoint/contracts/log";
import { backupId, instant, sha256, token, uuid } from "@stillpoint/contracts/names";
import { backupFigures, point, proof } from "@stillpoint/contracts/point";
import { z } from "zod";
import { objectDamaged } from "./damage.ts";

const hex32 = z.string().regex(/^[0-9a-f]{64}$/);
const hex16 = z.string().regex(/^[0-9a-f]{32}$/);
const count = z.number().int().nonnegative();

/** Sizes in bytes. Chosen when the repository is made, and never changed: other sizes would dedupe with nothing. */
export const chunking = z.strictObject({
  /** A block of a file whose pages change in place; rounded to whole pages of the file. */
  pageBlock: z.number().int().min(65_536).max(4_194_304),
  contentMin: z.number().int().min(4_096),
  contentTarget: z.number().int().min(8_192),
  contentMax: z.number().int().max(4_194_304),
  /** A file below this is bundled with its neighbours into one chunk. */
  bundleBelow: z.number().int().max(1_048_576),
  bundleMin: z.number().int().positive(),
  bundleMax: z.number().int().max(1_048_576),
  packTarget: z.number().int().min(1_048_576).max(67_108_864),
});
export type Chunking = z.infer<typeof chunking>;

export const DEFAULT_CHUNKING: Chunking = {
  pageBlock: 1_048_576,
  contentMin: 262_144,
  contentTarget: 1_048_576,
  contentMax: 4_194_304,
  bundleBelow: 262_144,
  bundleMin: 262_144,
  bundleMax: 1_048_576,
  packTarget: 16_777_216,
};

/** In clear, with a MAC under the repository's key. */
export const config = z.object({
  format: z.literal("stillpoint-repository"),
  version: z.number().int(),
  repositoryId: uuid,
  /** Which repository key the MAC is made with. */
  master: hex16,
  chunking,
  createdAt: instant,
});
export type Config = z.infer<typeof config>;

/** In clear, with a MAC under the repository's key: what an epoch's key is derived from, with that key. */
export const epoch = z.object({
  version: z.number().int(),
  epoch: z.number().int().positive(),
  master: hex16,
  salt: hex32,
  /** Ed25519, raw, of the repository key named by `master`. */
  signingKey: hex32,
  /**
   * The repository key before, sealed under this one, so that a slot for the newest opens all; and what was there when this
   * one was made, so that who has the key before can change nothing of it unseen.
   */
  previous: z.object({ master: hex16, sealed: z.string(), config: hex32, epoch: hex32 }).optional(),
  createdAt: instant,
});
export type Epoch = z.infer<typeof epoch>;

/** Of a passphrase. A guess must cost time; opening must not cost all memory because somebody wrote a number into a slot. */
const scrypt = z
  .object({
    n: z.number().int().min(2),
    r: z.number().int().min(1).max(64),
    p: z.number().int().min(1).max(16),
    salt: hex32,
  })
  .refine(({ n, r, p }) => 128 * n * r * p <= 1_073_741_824, "it asks for more than 1 GiB");

const base64 = z.base64();
const shortText = z.string().max(200);
/** What each method keeps in the slot's public line; `wrapped` gives the slot's key to who has the other part. */
export const slotMethods = z.object({
  scrypt: scrypt.optional(),
  kms: z.object({ keyArn: shortText, context: z.record(shortText, shortText), wrapped: base64 }).optional(),
  transit: z
    .object({ address: shortText, mount: shortText, key: shortText, wrapped: z.string().max(2_000) })
    .optional(),
  age: z.object({ recipient: z.string().max(100), wrapped: base64 }).optional(),
});
export type SlotMethods = z.infer<typeof slotMethods>;

/** The public line of a key slot; the sealed line follows it. */
export const keySlot = z.object({
  version: z.number().int(),
  slot: hex16,
  type: z.enum(["opener", "escrow"]),
  method: z.string(),
  master: hex16,
  ...slotMethods.shape,
  /** For people. */
  label: z.string().max(80).optional(),
  /** Its secret was printed on a recovery sheet, and is kept nowhere. */
  sheet: z.literal(true).optional(),
  /** Slots that are retired once this one has proved to open. */
  replaces: z.array(hex16).max(32).optional(),
  createdAt: instant,
});
export type KeySlot = z.infer<typeof keySlot>;

export const manifest = z.object({
  figures: backupFigures,
  epoch: z.number().int().positive(),
  /** Names of the tree's chunks, in order. */
  tree: z.array(hex32),
  treeBytes: count,
  /** The newest generation of condemned objects of which it uses nothing. */
  generation: count.default(0),
});
export type Manifest = z.infer<typeof manifest>;

/** `backups`: SHA-256 of each manifest object that the point stands on. */
export const sealedPoint = z.object({ point, manifests: z.array(z.object({ backupId, sha256 })) });

/** A statement as its exact text, signed with Ed25519. */
export const signed = z.object({ statement: z.string(), signature: z.string(), signingKey: hex32 });
export type Signed = z.infer<typeof signed>;
export { proof };

/** What one flush of an open log covers; its bytes follow the document. */
export const tailHead = z.object({
  plan: token,
  source: token,
  /** Timeline, log file or salts: what positions are counted in. */
  stream: z.string(),
  from: z.string(),
  to: z.string(),
  /** Where an earlier stream was left for this one, which begins at `from`. */
  after: logPosition.optional(),
  fenceToken: count,
  sha256,
  writtenAt: instant,
});
export const hold = z.object({
  holdId: uuid,
  pointId: uuid,
  reason: z.string(),
  by: z.string(),
  until: instant.optional(),
  placedAt: instant,
});
/** A drill, an incident, an audit batch, a gap. */
export const record = z.object({
  recordId: uuid,
  type: z.enum(["drill", "incident", "audit", "gap"]),
  at: instant,
  detail: z.record(z.string(), z.unknown()),
});
/** The newest change of an object counts: highest sequence, then highest id. */
export const change = z.object({
  changeId: uuid,
  sequence: count,
  change: z.enum(["delete", "undelete", "release", "retire-slot", "promote", "tag", "keep", "checked"]),
  object: z.string(),
  detail: z.record(z.string(), z.unknown()).default({}),
  by: z.string(),
  at: instant,
});
export const lease = z.object({
  holder: token,
  sequence: count,
  /** `collector`: the one that may condemn and delete; re-keying takes it too. */
  role: z.enum(["writer", "reader", "collector"]),
  /** The newest generation of whose packs the holder uses nothing. */
  generation: count,
  /** What a reader reads. */
  backups: z.array(backupId).default([]),
  /** By the storage's clock; counted from the object's own time. */
  lengthMs: count,
  /** When the holder began, by the storage's clock: of the objects stored since none is condemned. Absent: with this object. */
  sinceMs: count.optional(),
  /** Of a claim: tells it from another's of the same name. */
  token: hex16.optional(),
});
export type Lease = z.infer<typeof lease>;
export const condemned = z.object({
  generation: count,
  objects: z.array(z.string()),
  /** Objects that earlier generations condemned, and that are needed again. */
  spared: z.array(z.string()).default([]),
  /** Names of the objects below `condemned/` that are swept from now on: nothing in them can be spared any more. */
  sweeps: z.array(z.string()).default([]),
  /** The name of an earlier one whose sweep was given up before anything was deleted. */
  withdraws: z.string().optional(),
  /** Names of all objects below `condemned/` that were there when this one was written. */
  before: z.array(z.string()).default([]),
});
export type Condemned = z.infer<typeof condemned>;

/** Reads a document out of an opened object. */
export function readDocument<Schema extends z.ZodType>(
  schema: Schema,
  object: string,
  bytes: Buffer,
): z.output<Schema> {
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString("utf8"));
  } catch (error) {
    throw objectDamaged(object, "it is no JSON", error);
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw objectDamaged(object, z.prettifyError(parsed.error), parsed.error);
  return parsed.data;
}
