import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogRange, ShippedBy } from "@stillpoint/contracts/log";
import { TAIL_MOST_BYTES } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import { objectName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import { openObject, sealObject } from "../format/sealed-object.ts";
import { encodeTail, type TailHead, verifiedTail } from "../format/tail-format.ts";
import { putAndRead } from "../put-and-read.ts";
import { readVerified } from "../replicas/other-copies.ts";
import type { RepositoryContext } from "../repository-context.ts";

type TailContext = Pick<RepositoryContext, "store" | "ring" | "random" | "now">;

export type ReadTail = { head: TailHead; bytes: Buffer };

/** One flush of an open log, its bytes authenticated. Undefined: it is not there, or not any more. */
export async function readTail(
  { store, ring }: Pick<TailContext, "store" | "ring">,
  id: string,
  signal?: AbortSignal,
): Promise<ReadTail | undefined> {
  const name = objectName("tails", id);
  try {
    return await readVerified(store, name, async (from) =>
      verifiedTail(name, openObject("tails", id, name, await from.get(name, undefined, signal), ring.epochs)),
    );
  } catch (error) {
    if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
    throw error;
  }
}

/**
 * Stores what a log grew by; durable when it resolves. Given twice it is one, and answers with the first. CONFLICT where other
 * bytes have its name: two writers under one fence token, or a plan whose source has another plan's name and token.
 */
export async function putTail(
  context: TailContext,
  { plan, source, fenceToken }: ShippedBy,
  range: LogRange,
  bytes: Uint8Array,
  signal?: AbortSignal,
): Promise<TailHead> {
  const { stream, from, to, after } = range;
  const at = { source, stream, from, to, fenceToken };
  const id = OBJECT_IDS.tail(at);
  const name = objectName("tails", id);
  if (bytes.length > TAIL_MOST_BYTES)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Did not store a tail",
      where: name,
      why: `it has ${bytes.length} bytes, and at most ${TAIL_MOST_BYTES} are one tail`,
      hint: "send a longer flush as several tails, one after the other",
    });
  const sha256 = createHash("sha256").update(bytes).digest("hex");
  const writtenAt = toInstant(context.now());
  const head: TailHead = { plan, ...at, ...(after === undefined ? {} : { after }), sha256, writtenAt };
  const sealed = sealObject("tails", id, encodeTail(head, bytes), context.ring.epochs, context.random);
  try {
    await putAndRead(context.store, name, sealed, { ifAbsent: true, signal });
    return head;
  } catch (error) {
    if (!(error instanceof StillpointError) || error.code !== "OBJECT_EXISTS") throw error;
    const there = await readTail(context, id, signal);
    if (there?.head.plan === plan && there.head.sha256 === sha256) return there.head;
    throw new StillpointError("CONFLICT", {
      what: "Did not store a tail",
      where: name,
      why: there === undefined ? "its name is taken" : `its name is taken by other bytes, of plan ${there.head.plan}`,
      cause: error,
    });
  }
}
