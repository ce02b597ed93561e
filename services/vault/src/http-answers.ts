import type { IncomingMessage, ServerResponse } from "node:http";
import { StillpointError } from "@stillpoint/contracts/errors";
import { asciiJson, type TicketClaims, VAULT_HEADERS } from "@stillpoint/contracts/vault";
import { verifyTicket } from "./tickets.ts";

export function claimsOf(vault: { ticketKey: Uint8Array; now: () => number }, request: IncomingMessage): TicketClaims {
  return verifyTicket(vault.ticketKey, request.headers.authorization, vault.now());
}

export function notPermitted(where: string): StillpointError {
  return new StillpointError("TICKET_INVALID", { what: "The ticket does not permit this", where });
}

/** Fires when the sender goes away in the middle. */
export function senderGone(request: IncomingMessage, where: string): AbortSignal {
  const aborted = new AbortController();
  request.once("aborted", () =>
    aborted.abort(new StillpointError("UNREACHABLE", { what: "The sender went away", where })),
  );
  return aborted.signal;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

export function refuse(response: ServerResponse, error: StillpointError): void {
  if (response.headersSent) {
    response.destroy(error);
    return;
  }
  response.writeHead(error.http, {
    "content-type": "application/problem+json",
    [VAULT_HEADERS.error]: asciiJson(error.toBody()),
    connection: "close",
  });
  response.end(JSON.stringify({ title: error.what, status: error.http, ...error.toBody() }));
}
