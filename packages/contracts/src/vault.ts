import { z } from "zod";
import { logGap, logPosition, logRange } from "./log.ts";
import { defineRequest } from "./messages.ts";
import { backupId, instant, name, sha256, sourceKind, uuid } from "./names.ts";
import { backupFigures, point, proof } from "./point.ts";

const sourceOfPlan = z.object({ plan: name, source: name });

/**
 * What a ticket permits. `capture`: PUT of backups whose id begins with run, source and fence token, GET of what was there
 * `earlier`; the vault reads the source's lease first. `rehearse`: GET of these backups, PUT of results of this proof. `restore`: GET of these backups. Both with a `log`: GET of
 * what is held of that source's log.
 * `results`: GET of the results of this proof. `ship`: PUT of log and gaps of this source, and HEAD of what it wrote; the
 * vault reads the lease of its shipper first. `push`: PUT of closed stretches of this source's log, and HEAD of them; long-lived,
 * without a lease, until it expires or its generation is revoked.
 */
export const ticketClaims = z.discriminatedUnion("purpose", [
  z.object({
    purpose: z.literal("capture"),
    runId: uuid,
    plan: name,
    source: name,
    kind: sourceKind,
    fenceToken: z.number().int().positive(),
    /** Of a base that is made beside the points. */
    beside: z.literal(true).optional(),
    /** The source's backups in the point before, by the vault: what is unchanged since the first of them is taken over. */
    earlier: z.array(backupId).optional(),
  }),
  z.object({
    purpose: z.literal("rehearse"),
    proofId: uuid,
    source: name,
    backups: z.array(backupId).min(1),
    log: sourceOfPlan.optional(),
  }),
  z.object({
    purpose: z.literal("restore"),
    pointId: uuid.optional(),
    backups: z.array(backupId),
    log: sourceOfPlan.optional(),
  }),
  z.object({ purpose: z.literal("results"), proofId: uuid }),
  z.object({
    purpose: z.literal("ship"),
    plan: name,
    source: name,
    kind: sourceKind,
    fenceToken: z.number().int().positive(),
  }),
  z.object({
    purpose: z.literal("push"),
    plan: name,
    source: name,
    kind: sourceKind,
    generation: z.number().int().positive(),
  }),
]);
export type TicketClaims = z.infer<typeof ticketClaims>;

export const vaultTicket = defineRequest(
  "vault.ticket",
  ticketClaims,
  z.object({ vaultUrl: z.url(), ticket: z.string(), expiresAt: instant }),
);

/** A long-lived token that appends to one source's log, and does nothing else. */
export const vaultLogToken = defineRequest(
  "vault.log-token",
  z.object({ plan: name, source: name, kind: sourceKind, days: z.number().int().min(1).max(3_650) }),
  z.object({ vaultUrl: z.url(), token: z.string(), generation: z.number().int().positive(), expiresAt: instant }),
);
/** Every such token of a source that was minted so far counts no more. */
export const vaultRevokeLogTokens = defineRequest(
  "vault.revoke-log-tokens",
  z.object({ plan: name, source: name, by: z.string().min(1).max(200) }),
  z.object({ generation: z.number().int().positive() }),
);

/** Seals the point, or answers with the one that was sealed under this id before. */
export const vaultSeal = defineRequest(
  "vault.seal",
  z.object({ point: point.omit({ sealedAt: true }) }),
  z.object({ point }),
);
export const vaultSealProof = defineRequest("vault.seal-proof", z.object({ proof }), z.object({ proof }));

export const vaultPoint = defineRequest(
  "vault.point",
  z.object({ pointId: uuid }),
  z.object({ point, proofs: z.array(proof) }),
);

/** Pages through what the repository holds, in the order of ids. */
export const vaultList = defineRequest(
  "vault.list",
  z.object({
    what: z.enum(["points", "proofs", "backups"]),
    after: z.string().optional(),
    limit: z.number().int().min(1).max(200).default(50),
  }),
  z.object({
    points: z.array(point).default([]),
    proofs: z.array(proof).default([]),
    backups: z.array(backupFigures).default([]),
    /** Ask for the next page after this; absent at the end. */
    next: z.string().optional(),
  }),
);

/** A hole in a log as its shipper tells it; whose it is, the ticket says. */
export const foundGap = logGap.pick({ after: true, until: true, why: true });
export type FoundGap = z.infer<typeof foundGap>;

const logWindow = z.object({
  from: logPosition,
  to: logPosition,
  /** What its first place is restored from. */
  base: backupId,
  /** All bases in it, in order. */
  bases: z.array(backupId),
  /** By the storage's clock: when the first base, and when what it ends with, was stored. */
  fromAt: instant,
  toAt: instant,
});

/** What the repository holds of a source's log, and what can be restored of it. Of many windows and holes the last ones. */
export const vaultLog = defineRequest(
  "vault.log",
  z.object({
    plan: name,
    source: name,
    /** Can this place be restored from this base? Answered as `reaches`. */
    reach: z.object({ base: backupId, place: logPosition }).optional(),
    /**
     * Asked again and again until the log has grown: what it is replayed on is not told then, and a base or a stream that came
     * seconds ago may be missing.
     */
    waits: z.boolean().default(false),
  }),
  z.object({
    plan: name,
    source: name,
    /** The one that ends newest last. */
    windows: z.array(logWindow),
    /** `why` and `at` where it was recorded. */
    holes: z.array(
      z.object({
        after: logPosition.optional(),
        until: logPosition.optional(),
        why: z.string().optional(),
        at: instant.optional(),
      }),
    ),
    /** The newest place up to which the log is held without a hole: a shipper goes on there. Absent: where its source stands. */
    held: logPosition.optional(),
    /** Whether that place can be restored: else a new base is due. */
    baseServes: z.boolean(),
    /** What would be laid over which base to restore it; of tails their bytes as they are stored. */
    replay: z
      .object({
        base: backupId,
        /** Of the base. */
        bytes: z.number().int().nonnegative(),
        storedAt: instant,
        logBytes: z.number().int().nonnegative(),
        /** A point may rest on that base: the collector will not have taken it before the point is sealed. */
        mayBeSealed: z.boolean(),
      })
      .optional(),
    /** When the newest base was stored, also one that lacks log which is on its way. */
    newestBaseAt: instant.optional(),
    /** What would be laid over the base that was asked about; absent where the place cannot be had from it. */
    reaches: z.object({ logBytes: z.number().int().nonnegative() }).optional(),
    /** Names of objects that cannot be read, and may be some of it. */
    damaged: z.array(z.string()),
  }),
);

export const vaultStatus = defineRequest(
  "vault.status",
  z.object({}),
  z.object({ repositoryId: z.string(), url: z.string(), formatVersion: z.number().int(), vaultUrl: z.url() }),
);

const retained = z.object({
  pointId: uuid,
  cutAt: instant,
  partial: z.boolean(),
  reasons: z.array(z.object({ code: z.string(), text: z.string() })),
});

/** What a plan's retention, as it is in force, does to the points there are now. Changes nothing. */
export const vaultPlanRetention = defineRequest(
  "vault.plan-retention",
  z.object({ plan: name }),
  z.object({
    plan: name,
    policy: z.string(),
    policySha256: sha256,
    madeAt: instant,
    /** Newest first, and so many of them as a message holds; the counts are of all. */
    go: z.array(retained),
    keep: z.array(retained),
    goCount: z.number().int().nonnegative(),
    keepCount: z.number().int().nonnegative(),
    /** Backups that go with them, and those that stay, for something else rests on them. */
    freed: z.number().int().nonnegative(),
    stillNeeded: z.number().int().nonnegative(),
  }),
);
/** Deletes these points, if each of them is to go by the same policy still; CONFLICT and nothing else otherwise. */
export const vaultApplyRetention = defineRequest(
  "vault.apply-retention",
  z.object({
    plan: name,
    policySha256: sha256,
    go: z.array(z.object({ pointId: uuid })).max(5_000),
    by: z.string().min(1).max(200),
  }),
  z.object({ deleted: z.array(uuid) }),
);

/** A stretch as it is stored, of which a restore reads a part or all. `bytes`: about as many are read; absent before it was told. */
const aboutStretch = { range: logRange, bytes: z.number().int().nonnegative().optional() };
const storedStretch = z.discriminatedUnion("type", [
  z.object({ type: z.literal("closed"), backupId, ...aboutStretch }),
  z.object({ type: z.literal("tail"), id: z.string(), ...aboutStretch }),
]);
export type StoredStretch = z.infer<typeof storedStretch>;

/** How the vault answers what one place of a source's log is restored from: where the base's replay begins and ends, and what is read. */
export const logPieces = z.object({
  base: backupId,
  baseRange: logRange,
  pieces: z.array(storedStretch),
});

const stored = { range: logRange, storedMs: z.number() };
/** How the vault answers what it holds of a source's log. */
export const sourceLogHeld = z.object({
  fulls: z.array(z.object({ ...stored, backupId, startedAt: z.string() })),
  closed: z.array(z.object({ ...stored, backupId, bytes: z.number() })),
  tails: z.array(z.object({ ...stored, id: z.string(), fenceToken: z.number(), bytes: z.number() })),
  gaps: z.array(logGap),
  /** Names of objects that cannot be read, and may be some of it. */
  damaged: z.array(z.string()),
});
export type SourceLogHeld = z.infer<typeof sourceLogHeld>;

/** Headers of the vault's HTTP side, in lower case; each holds JSON in ASCII (`asciiJson`). */
export const VAULT_HEADERS = {
  /** BackupFigures, in the answer to HEAD. */
  figures: "stillpoint-figures",
  /** ErrorBody; a trailer where the error was met in mid-stream. */
  error: "stillpoint-error",
} as const;

/** JSON that may stand in a header: what is not ASCII is escaped. */
export function asciiJson(value: unknown): string {
  return JSON.stringify(value).replace(
    /[^\x20-\x7e]/g,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}
