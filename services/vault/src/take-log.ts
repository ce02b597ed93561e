import type { IncomingMessage, ServerResponse } from "node:http";
import { StillpointError } from "@stillpoint/contracts/errors";
import {
  type LogRange,
  logRange,
  PUSHED,
  type ShippedBy,
  shippedBackupId,
  TAIL_MOST_BYTES,
} from "@stillpoint/contracts/log";
import { toInstant, uuidv8 } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { foundGap, type TicketClaims } from "@stillpoint/contracts/vault";
import { OBJECT_IDS } from "@stillpoint/repository/format/object-ids";
import type { Repository } from "@stillpoint/repository/repository";
import { uploadQueue } from "@stillpoint/repository/write/upload-queue";
import { notPermitted, senderGone, sendJson } from "./http-answers.ts";

export type LogTaker = {
  repository: Repository;
  now: () => number;
  stored: (figures: BackupFigures) => Promise<void>;
};
/** One request of a shipper: what its ticket says, and where it is aimed. */
export type LogRequest = {
  claims: TicketClaims;
  id: string;
  url: URL;
  request: IncomingMessage;
  response: ServerResponse;
};

/** Who sends nothing for so long is taken to be gone: the memory that its tail would take is others'. */
const SILENT_MS = 30_000;
const GAP_MOST_BYTES = 65_536;
/** A tail is held whole, and again when it is read back: of long ones few at once. */
const SHORT_BYTES = 262_144;

export function logTaker({ repository, now, stored }: LogTaker) {
  const long = uploadQueue(4);
  const short = uploadQueue(64);

  return {
    /** What a log grew by. */
    async putTail({ claims, id, url, request, response }: LogRequest): Promise<void> {
      const range = rangeOf(url);
      if (claims.purpose !== "ship" || id !== OBJECT_IDS.tail({ ...claims, ...range })) throw notPermitted(id);
      const isShort = Number(request.headers["content-length"] ?? Number.NaN) <= SHORT_BYTES;
      await (isShort ? short : long).run(async () => {
        const bytes = await read(request, isShort ? SHORT_BYTES : TAIL_MOST_BYTES, "Did not store a tail", id);
        await repository.putTail(claims, range, bytes);
      });
      response.writeHead(204).end();
    },

    /**
     * A closed stretch as a tar. One that is there already is answered with its own figures; to a source's own server, which
     * has no lease, it is not: it asks whether that is what it has.
     */
    async putClosed({ claims, id, url, request, response }: LogRequest): Promise<void> {
      const log = rangeOf(url);
      if (claims.purpose !== "ship" && claims.purpose !== "push") throw notPermitted(id);
      const { plan, source, kind } = claims;
      const fenceToken = claims.purpose === "push" ? PUSHED : claims.fenceToken;
      if (id !== shippedBackupId({ plan, source, fenceToken }, log)) throw notPermitted(id);
      const runId = shippingId({ plan, source, fenceToken });
      const head = { backupId: id, plan, source, kind, type: "log", runId, log } as const;
      const startedAt = toInstant(now());
      const signal = senderGone(request, id);
      try {
        const figures = await repository.writeBackup({ ...head, startedAt }, request, { signal });
        await stored(figures);
        sendJson(response, 201, figures);
      } catch (error) {
        // Its answer was lost, or the shipper before came this far: what is there was found to be whole.
        if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS" || fenceToken === PUSHED) throw error;
        const figures = await repository.headBackup(id, signal);
        if (figures === undefined) throw error;
        for await (const _ of request); // a sender waits for its own last byte
        await stored(figures); // it may not have been told
        sendJson(response, 200, figures);
      }
    },

    /** What nobody holds any more. */
    async putGap({ claims, id, request, response }: LogRequest): Promise<void> {
      if (claims.purpose !== "ship" || id !== claims.source) throw notPermitted(id);
      const body = await read(request, GAP_MOST_BYTES, "Did not record a gap", id);
      const { plan, source, kind } = claims;
      const told = foundGap.parse(JSON.parse(body.toString("utf8")));
      sendJson(response, 201, await repository.sealGap({ plan, source, kind, ...told, at: toInstant(now()) }));
    },
  };
}
export type LogTaking = ReturnType<typeof logTaker>;

function rangeOf(url: URL): LogRange {
  return logRange.parse(JSON.parse(url.searchParams.get("log") ?? "null"));
}

/** What is shipped belongs to no run; all under one lease is one piece of work. */
function shippingId({ plan, source, fenceToken }: ShippedBy): string {
  return uuidv8(0, "ship", plan, source, String(fenceToken));
}

async function read(request: IncomingMessage, most: number, what: string, where: string): Promise<Buffer> {
  request.setTimeout(SILENT_MS, () => request.destroy());
  const pieces: Buffer[] = [];
  let length = 0;
  // Not destroyed where it is too long: its sender is to read why.
  for await (const piece of request.iterator({ destroyOnReturn: false })) {
    pieces.push(piece as Buffer); // no encoding is set: chunks are buffers
    length += (piece as Buffer).length;
    if (length > most)
      throw new StillpointError("INVALID_REQUEST", { what, where, why: `it has more than ${most} bytes` });
  }
  request.setTimeout(0);
  return Buffer.concat(pieces, length);
}
