import { createHmac, timingSafeEqual } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { PUSHED } from "@stillpoint/contracts/log";
import { type TicketClaims, ticketClaims } from "@stillpoint/contracts/vault";
import { z } from "zod";

const sealedClaims = z.object({ claims: ticketClaims, expiresAtMs: z.number().int() });

/** `<base64url JSON>.<base64url HMAC-SHA-256>`; the key is derived from the repository's, so any vault of it can verify. */
export function mintTicket(key: Uint8Array, claims: TicketClaims, expiresAtMs: number): string {
  const body = Buffer.from(JSON.stringify({ claims, expiresAtMs } satisfies z.infer<typeof sealedClaims>)).toString(
    "base64url",
  );
  return `${body}.${sign(key, body)}`;
}

/** The claims of a ticket that this repository's vault minted and that has not expired. Throws TICKET_INVALID. */
export function verifyTicket(key: Uint8Array, authorization: string | undefined, nowMs: number): TicketClaims {
  const [body = "", signature = ""] = (authorization ?? "").replace(/^Bearer /, "").split(".");
  const expected = Buffer.from(sign(key, body));
  const given = Buffer.from(signature);
  if (given.length !== expected.length || !timingSafeEqual(given, expected))
    throw invalid("it was not minted by this repository's vault");
  const { claims, expiresAtMs } = sealedClaims.parse(JSON.parse(Buffer.from(body, "base64url").toString()));
  if (nowMs > expiresAtMs) throw invalid(`it expired at ${new Date(expiresAtMs).toISOString()}`);
  return claims;
}

/** Does this ticket permit reading this backup? */
export function permitsReading(claims: TicketClaims, backupId: string): boolean {
  switch (claims.purpose) {
    case "rehearse":
    case "restore":
      return claims.backups.includes(backupId);
    case "capture":
      return permitsWriting(claims, backupId) || (claims.earlier ?? []).includes(backupId);
    case "results":
    case "ship": // who ships a log only ever adds to it
    case "push":
      return false;
  }
}

/** Does this ticket permit reading the log of this source? Whose a stretch of it is, only its manifest says. */
export function permitsLog(claims: TicketClaims, { plan, source }: { plan: string; source: string }): boolean {
  if (claims.purpose !== "rehearse" && claims.purpose !== "restore") return false;
  return claims.log?.plan === plan && claims.log.source === source;
}

/** Names of plans and sources have no `_`: no other source's stretch begins so. */
function isShippedOf({ plan, source }: { plan: string; source: string }, backupId: string): boolean {
  return backupId.startsWith(`${plan}_${source}_`);
}

/** Does this ticket permit writing this backup? Its id names run, source and fence token: no other attempt's can be written. */
export function permitsWriting(claims: TicketClaims, backupId: string): boolean {
  if (claims.purpose === "ship") return isShippedOf(claims, backupId) && backupId.endsWith(`_${claims.fenceToken}`);
  if (claims.purpose === "push") return isShippedOf(claims, backupId) && backupId.endsWith(`_${PUSHED}`);
  return claims.purpose === "capture" && backupId.startsWith(`${claims.runId}_${claims.source}_${claims.fenceToken}_`);
}

function sign(key: Uint8Array, body: string): string {
  return createHmac("sha256", key).update(body).digest("base64url");
}

function invalid(why: string): StillpointError {
  return new StillpointError("TICKET_INVALID", {
    what: "The ticket is not valid",
    why,
    hint: "tickets are minted by the vault for each run; the run's owner asks for a new one",
  });
}
