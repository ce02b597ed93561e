import type { IncomingMessage, ServerResponse } from "node:http";
import { StillpointError } from "@stillpoint/contracts/errors";
import { logPosition } from "@stillpoint/contracts/log";
import { backupId } from "@stillpoint/contracts/names";
import type { SourceLogHeld } from "@stillpoint/contracts/vault";
import { piecesOf, servePoint } from "@stillpoint/repository/log/point-log";
import type { SourceOfPlan } from "@stillpoint/repository/log/source-log";
import { z } from "zod";
import type { VaultHttp } from "./http.ts";
import { claimsOf, notPermitted, senderGone, sendJson } from "./http-answers.ts";
import { permitsLog } from "./tickets.ts";

/** A place that a point rests on, from its own base. */
const restOnLog = z.object({ base: backupId, place: logPosition });

/** All that is held of a source's log, or what a point rests on of it. LOG_GAP where that has a hole. */
export async function getLog(
  vault: VaultHttp,
  of: SourceOfPlan,
  url: URL,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (!permitsLog(claimsOf(vault, request), of)) throw notPermitted(`the log of ${of.plan}/${of.source}`);
  const log: SourceLogHeld = await vault.repository.sourceLog(of, senderGone(request, of.source));
  const asked = url.searchParams.get("rest");
  if (asked === null) return sendJson(response, 200, log);
  const rest = { ...of, ...restOnLog.parse(JSON.parse(asked)) };
  sendJson(response, 200, piecesOf(log, servePoint(log, rest)));
}

/** The bytes of one flush. */
export async function getTail(
  vault: VaultHttp,
  id: string,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const claims = claimsOf(vault, request);
  const tail = await vault.repository.readTail(id, senderGone(request, id));
  // Whose it is, only its head says.
  if (tail === undefined || !permitsLog(claims, tail.head))
    throw new StillpointError("OBJECT_MISSING", {
      what: "Cannot read a part of the log",
      where: id,
      why: "this ticket permits no such part, or it is not there any more: a closed stretch has it by now",
      hint: "restore again",
    });
  response.writeHead(200, { "content-type": "application/octet-stream", "content-length": tail.bytes.length });
  response.end(tail.bytes);
}
