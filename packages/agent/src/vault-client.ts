import { request as httpRequest, type IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import { arrayBuffer, json } from "node:stream/consumers";
import { pipeline } from "node:stream/promises";
import { errorBody, StillpointError } from "@stillpoint/contracts/errors";
import {
  type LogGap,
  type LogPosition,
  type LogRange,
  logGap,
  type ShippedBy,
  shippedBackupId,
} from "@stillpoint/contracts/log";
import { type BackupType, backupId } from "@stillpoint/contracts/names";
import { type BackupFigures, backupFigures } from "@stillpoint/contracts/point";
import {
  type FoundGap,
  logPieces,
  type SourceLogHeld,
  sourceLogHeld,
  VAULT_HEADERS,
} from "@stillpoint/contracts/vault";
import { z } from "zod";

type SourceOfPlan = { plan: string; source: string };
/** A place that a point rests on, from its own base. */
type RestOnLog = { base: string; place: LogPosition };
type LogToRead = z.infer<typeof logPieces>;

const earlierBackups = z.object({ backups: z.array(backupId) });

/** The vault's HTTP side for one ticket. Every method throws the StillpointError that the vault answered with. */
export type VaultClient = ReturnType<typeof vaultClient>;

export function vaultClient(vaultUrl: string, ticket: string, signal: AbortSignal) {
  const call = (method: string, path: string, body?: AsyncIterable<Uint8Array> | Uint8Array) =>
    send(new URL(path, vaultUrl), method, ticket, signal, body);

  return {
    /** Streams a tar; resolves when its manifest is in the repository. `earlier`: the backup that it takes files from. */
    async putBackup(
      backupId: string,
      type: BackupType,
      tar: AsyncIterable<Uint8Array>,
      earlier?: string,
    ): Promise<BackupFigures> {
      const query = earlier === undefined ? "" : `&earlier=${earlier}`;
      return backupFigures.parse(await json(await call("PUT", `/backups/${backupId}?type=${type}${query}`, tar)));
    },
    /** The source's backups in the point before; none where there is no such point. */
    async earlier(): Promise<string[]> {
      return earlierBackups.parse(await json(await call("GET", "/earlier"))).backups;
    },
    /** Its figures if the repository holds it; CONFLICT where the digest of what one has (`treeDigest`) is another. */
    async headBackup(backupId: string, digest?: string): Promise<BackupFigures | undefined> {
      try {
        const response = await call("HEAD", `/backups/${backupId}${digest === undefined ? "" : `?digest=${digest}`}`);
        response.resume();
        return backupFigures.parse(JSON.parse(headerOf(response, VAULT_HEADERS.figures)));
      } catch (error) {
        if (error instanceof StillpointError && error.code === "BACKUP_UNKNOWN") return undefined;
        throw error;
      }
    },
    /** A backup's tar, or that of one path within it. Throws in mid-stream where the vault met damage. */
    async *getBackup(backupId: string, path?: string): AsyncGenerator<Uint8Array> {
      const query = path === undefined ? "" : `?path=${encodeURIComponent(path)}`;
      yield* bodyOf(await call("GET", `/backups/${backupId}${query}`));
    },
    /** A closed stretch of a log, as a tar; one that is there already is answered with its own figures. */
    async putLog(by: ShippedBy, range: LogRange, tar: AsyncIterable<Uint8Array>): Promise<BackupFigures> {
      const path = `/backups/${shippedBackupId(by, range)}?type=log&${logQuery(range)}`;
      return backupFigures.parse(await json(await call("PUT", path, tar)));
    },
    /** What a place of a source's log is restored from. */
    async getLog({ plan, source }: SourceOfPlan, rest: RestOnLog): Promise<LogToRead> {
      const query = `rest=${encodeURIComponent(JSON.stringify(rest))}`;
      return logPieces.parse(await json(await call("GET", `/logs/${plan}/${source}?${query}`)));
    },
    /** All that is held of a source's log. */
    async getSourceLog({ plan, source }: SourceOfPlan): Promise<SourceLogHeld> {
      return sourceLogHeld.parse(await json(await call("GET", `/logs/${plan}/${source}`)));
    },
    /** The bytes of one flush. */
    async getTail(id: string): Promise<Uint8Array> {
      return new Uint8Array(await arrayBuffer(await call("GET", `/tails/${id}`)));
    },
    /** What a log grew by: TAIL_MOST_BYTES at most. Durable when it resolves; given twice it is one. */
    async putTail(by: ShippedBy, range: LogRange, bytes: Uint8Array): Promise<void> {
      const { stream, from, to } = range;
      const path = `/tails/${by.source}/${stream}/${from}-${to}-${by.fenceToken}?${logQuery(range)}`;
      (await call("PUT", path, bytes)).resume();
    },
    /** A hole in a log; told twice it is one, and answers with the first. */
    async putGap(by: ShippedBy, gap: FoundGap): Promise<LogGap> {
      const told = Buffer.from(JSON.stringify(gap), "utf8");
      return logGap.parse(await json(await call("PUT", `/gaps/${by.source}`, told)));
    },
    /** NDJSON rows of one check. */
    async putResult(proofId: string, source: string, check: string, rows: AsyncIterable<Uint8Array>): Promise<void> {
      (await call("PUT", `/results/${proofId}/${source}/${check}`, rows)).resume();
    },
    async *getResult(proofId: string, source: string, check: string): AsyncGenerator<Uint8Array> {
      yield* bodyOf(await call("GET", `/results/${proofId}/${source}/${check}`));
    },
  };
}

function logQuery(range: LogRange): string {
  return `log=${encodeURIComponent(JSON.stringify(range))}`;
}

async function send(
  url: URL,
  method: string,
  ticket: string,
  signal: AbortSignal,
  body?: AsyncIterable<Uint8Array> | Uint8Array,
): Promise<IncomingMessage> {
  const request = (url.protocol === "https:" ? httpsRequest : httpRequest)(url, {
    method,
    signal,
    headers: { authorization: `Bearer ${ticket}` },
  });
  const { promise: answered, resolve, reject } = Promise.withResolvers<IncomingMessage>();
  request.once("response", resolve);
  request.once("error", reject);
  let ownFailure: { error: unknown } | undefined;
  const watched = async function* (bytes: AsyncIterable<Uint8Array>) {
    try {
      yield* bytes;
    } catch (error) {
      ownFailure = { error };
      reject(error); // a request that breaks off before it is connected tells nobody
      throw error;
    }
  };
  try {
    if (body === undefined || body instanceof Uint8Array) request.end(body);
    else {
      // Otherwise nothing is sent before the first byte of the body, which may be long in coming, and the vault takes a
      // kept connection for idle and closes it.
      request.flushHeaders();
      // The vault may refuse before it has read everything: its answer counts, not the broken pipe that follows from it;
      // where no answer comes, `answered` rejects by itself.
      pipeline(watched(body), request).catch(() => request.destroy());
    }
    return await accept(await answered, url);
  } catch (error) {
    request.destroy();
    if (ownFailure !== undefined) throw ownFailure.error;
    if (error instanceof StillpointError) throw error;
    if (signal.aborted) throw signal.reason;
    throw new StillpointError("UNREACHABLE", {
      what: `The vault did not take ${method} ${url.pathname}`,
      where: url.host,
      why: error instanceof Error ? error.message : String(error),
      hint: "check that the vault runs and that this agent reaches the address above",
      cause: error,
    });
  }
}

async function accept(response: IncomingMessage, url: URL): Promise<IncomingMessage> {
  const status = response.statusCode ?? 0;
  if (status >= 200 && status < 300) return response;
  const coded = response.headers[VAULT_HEADERS.error];
  response.resume();
  if (typeof coded === "string") throw StillpointError.fromBody(errorBody.parse(JSON.parse(coded)));
  throw new StillpointError("UNREACHABLE", {
    what: "The vault answered with an error",
    where: `${url.host}${url.pathname}`,
    why: `HTTP ${status}`,
  });
}

async function* bodyOf(response: IncomingMessage): AsyncGenerator<Uint8Array> {
  for await (const chunk of response) yield chunk as Uint8Array; // no encoding is set: chunks are buffers
  const coded = response.trailers[VAULT_HEADERS.error];
  if (coded !== undefined) throw StillpointError.fromBody(errorBody.parse(JSON.parse(coded)));
}

function headerOf(response: IncomingMessage, header: string): string {
  const value = response.headers[header];
  if (typeof value === "string") return value;
  throw new StillpointError("UNREACHABLE", { what: "The vault's answer lacks a header", where: header });
}
