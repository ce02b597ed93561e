import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { pipeline } from "node:stream/promises";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { backupId, backupType, name, toInstant, token, uuid } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { asciiJson, type TicketClaims, VAULT_HEADERS } from "@stillpoint/contracts/vault";
import { gathered } from "@stillpoint/driver/body";
import { treeDigest } from "@stillpoint/driver/tree-digest";
import type { Repository } from "@stillpoint/repository/repository";
import { getLog, getTail } from "./give-log.ts";
import { claimsOf, notPermitted, refuse, senderGone, sendJson } from "./http-answers.ts";
import { type TokenCheck, tokenCheck } from "./log-tokens.ts";
import type { ResultName, ResultStore } from "./results.ts";
import { type LogTaking, logTaker } from "./take-log.ts";
import { permitsLog, permitsReading, permitsWriting } from "./tickets.ts";

export type VaultHttp = {
  repository: Repository;
  results: ResultStore;
  ticketKey: Uint8Array;
  /** Whether a long-lived token still counts. */
  tokens?: Pick<TokenCheck, "assertCounts">;
  now: () => number;
  /** Called once the backup's manifest is in the repository, before the answer. */
  stored: (figures: BackupFigures) => Promise<void>;
  log: (message: string, fields: Record<string, unknown>) => void;
};

/** Bytes of a tar that are sent together. */
const GATHERED_BYTES = 64 * 1024;

/**
 * Bytes in, bytes out: `/backups/<id>`, `/logs/<plan>/<source>` (what a place is restored from), `/tails/<source>/<stream>/<from>-<to>-<fence token>`, `/gaps/<source>` and
 * `/results/<proof>/<source>/<check>`. The caller listens and closes.
 */
export function createVaultServer(given: VaultHttp): Server {
  const vault = { tokens: tokenCheck(given.repository, given.now), ...given };
  const log = logTaker(vault);
  const server = createServer((request, response) => {
    answer(vault, log, request, response).catch((error: unknown) => {
      const known = toStillpointError(error, `Cannot do ${request.method} ${request.url}`);
      vault.log("request failed", { method: request.method, path: request.url?.split("?")[0], error: known.toBody() });
      refuse(response, known);
    });
  });
  // A backup may take hours; silence is what ends it, and the sender's own deadline.
  server.requestTimeout = 0;
  server.headersTimeout = 30_000;
  return server;
}

async function answer(
  vault: Required<VaultHttp>,
  log: LogTaking,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const url = new URL(request.url ?? "/", "http://vault");
  const [, area, ...rest] = url.pathname.split("/");
  const route = `${request.method} ${area}`;
  if (area === "backups") {
    const id = backupId.parse(rest[0]);
    if (route === "PUT backups") {
      const claims = claimsOf(vault, request);
      await vault.tokens.assertCounts(claims);
      if (claims.purpose === "ship" || claims.purpose === "push")
        return log.putClosed({ claims, id, url, request, response });
      return putBackup(vault, claims, id, url, request, response);
    }
    if (route === "GET backups") return getBackup(vault, id, url, request, response);
    if (route === "HEAD backups") return headBackup(vault, id, url, request, response);
  }
  if (route === "GET earlier") {
    const claims = claimsOf(vault, request);
    return sendJson(response, 200, { backups: claims.purpose === "capture" ? (claims.earlier ?? []) : [] });
  }
  if (route === "GET logs")
    return getLog(vault, { plan: name.parse(rest[0]), source: name.parse(rest[1]) }, url, request, response);
  if (route === "GET tails") return getTail(vault, rest.join("/"), request, response);
  if (route === "PUT tails")
    return log.putTail({ claims: claimsOf(vault, request), id: rest.join("/"), url, request, response });
  if (route === "PUT gaps")
    return log.putGap({ claims: claimsOf(vault, request), id: rest.join("/"), url, request, response });
  if (area === "results") {
    const result = { proofId: uuid.parse(rest[0]), source: name.parse(rest[1]), check: token.parse(rest[2]) };
    if (route === "PUT results") return putResult(vault, result, request, response);
    if (route === "GET results") return getResult(vault, result, request, response);
  }
  throw new StillpointError("NOT_FOUND", { what: "There is nothing here", where: `${request.method} ${url.pathname}` });
}

async function putBackup(
  vault: VaultHttp,
  claims: TicketClaims,
  id: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
) {
  if (claims.purpose !== "capture" || !permitsWriting(claims, id)) throw notPermitted(id);
  const type = backupType.parse(url.searchParams.get("type"));
  const { plan, source, kind, runId } = claims;
  const earlier = url.searchParams.get("earlier") ?? undefined;
  if (earlier !== undefined && !(claims.earlier ?? []).includes(earlier)) throw notPermitted(earlier);
  const figures = await vault.repository.writeBackup(
    { backupId: id, plan, source, kind, type, runId, startedAt: toInstant(vault.now()) },
    request,
    { signal: senderGone(request, id), earlier },
  );
  await vault.stored(figures);
  sendJson(response, 201, figures);
}

/** With the digest of what somebody has: whether it is what is there. */
async function headBackup(
  vault: Required<VaultHttp>,
  id: string,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
) {
  const claims = claimsOf(vault, request);
  await vault.tokens.assertCounts(claims);
  if (!permitsReading(claims, id) && !permitsWriting(claims, id)) throw notPermitted(id);
  const figures = await vault.repository.headBackup(id);
  if (figures === undefined)
    throw new StillpointError("BACKUP_UNKNOWN", { what: "There is no such backup", where: id });
  const digest = url.searchParams.get("digest");
  if (digest !== null && digest !== (await treeDigest(vault.repository.readBackup(id))))
    throw new StillpointError("CONFLICT", {
      what: "Something else has this name",
      where: id,
      why: "the repository holds other bytes under it, and keeps them",
      hint: "two servers write under one source: give each a source of its own",
    });
  response.writeHead(200, { [VAULT_HEADERS.figures]: asciiJson(figures) }).end();
}

/** A stretch of a log that the ticket permits, whoever wrote it: a shipper, or the finish of a capture. */
async function isPermittedLog({ repository }: VaultHttp, claims: TicketClaims, id: string): Promise<boolean> {
  const mayBe = (claims.purpose === "rehearse" || claims.purpose === "restore") && claims.log !== undefined;
  const figures = mayBe ? await repository.headBackup(id) : undefined;
  return figures !== undefined && figures.type === "log" && permitsLog(claims, figures);
}

async function getBackup(vault: VaultHttp, id: string, url: URL, request: IncomingMessage, response: ServerResponse) {
  const claims = claimsOf(vault, request);
  if (!permitsReading(claims, id) && !(await isPermittedLog(vault, claims, id))) throw notPermitted(id);
  const path = url.searchParams.get("path");
  const gone = new AbortController();
  response.once("close", () =>
    gone.abort(new StillpointError("CANCELLED", { what: "The reader went away", where: id })),
  );
  const options = { ...(path === null ? {} : { path }), signal: gone.signal, lent: true };
  const tar = gathered(vault.repository.readBackup(id, options), GATHERED_BYTES);
  // The first chunk is read before the status is sent, so that what cannot be read at all is a plain error.
  const bytes = tar[Symbol.asyncIterator]();
  const first = await bytes.next();
  response.writeHead(200, { "content-type": "application/x-tar", trailer: VAULT_HEADERS.error });
  try {
    // Not a pipeline: that would destroy the response on an error, and with it the trailer.
    for (let step = first; step.done !== true; step = await bytes.next()) await send(response, step.value, gone.signal);
  } catch (error) {
    // The tar has no end then, and the trailer says why: nobody can take it for whole.
    response.addTrailers({
      [VAULT_HEADERS.error]: asciiJson(toStillpointError(error, "Cannot read the backup").toBody()),
    });
    vault.log("backup could not be read to its end", { backupId: id, error: toStillpointError(error, "").toBody() });
  } finally {
    await bytes.return(undefined); // who reads no further still holds a lease until it says so
  }
  response.end();
}

/** The bytes are with the system when it resolves, and their memory is free. */
async function send(response: ServerResponse, bytes: Uint8Array, gone: AbortSignal): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const left = () => reject(gone.reason);
  gone.throwIfAborted();
  gone.addEventListener("abort", left);
  response.write(bytes, (error) => (error ? reject(error) : resolve()));
  try {
    await promise;
  } finally {
    gone.removeEventListener("abort", left);
  }
}

async function putResult(vault: VaultHttp, result: ResultName, request: IncomingMessage, response: ServerResponse) {
  const claims = claimsOf(vault, request);
  if (claims.purpose !== "rehearse" || claims.proofId !== result.proofId || claims.source !== result.source) {
    throw notPermitted(`${result.proofId}, ${result.source}`);
  }
  await vault.results.write(result, request);
  response.writeHead(204).end();
}

async function getResult(vault: VaultHttp, result: ResultName, request: IncomingMessage, response: ServerResponse) {
  const claims = claimsOf(vault, request);
  if (claims.purpose !== "results" || claims.proofId !== result.proofId) throw notPermitted(result.proofId);
  const rows = await vault.results.read(result);
  response.writeHead(200, { "content-type": "application/x-ndjson" });
  await pipeline(rows, response);
}
