import { StillpointError } from "@stillpoint/contracts/errors";
import { type Point, type Proof, proof } from "@stillpoint/contracts/point";
import { deletionOf } from "./changes/deletion.ts";
import { getDocument, listIds, putDocument } from "./documents-store.ts";
import { readDocument, sealedPoint, signed } from "./format/documents.ts";
import { objectName } from "./format/kinds.ts";
import { OBJECT_IDS } from "./format/object-ids.ts";
import { signStatement, verifiedStatement } from "./keys/signing.ts";
import type { RepositoryContext } from "./repository-context.ts";

/** Behind which id a listing begins. */
export type ListOptions = { after?: string | undefined; signal?: AbortSignal | undefined };

export async function findPoint(
  context: RepositoryContext,
  pointId: string,
  signal?: AbortSignal,
): Promise<Point | undefined> {
  return (await getDocument(context, "points", pointId, sealedPoint, signal))?.document.point;
}

const READS_AT_ONCE = 16;

/** Every point that is there, also those that were deleted and not swept yet; in the order of ids, some read at once. */
export async function* listSealedPoints(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<Point> {
  const read = async function* (pointIds: readonly string[]) {
    for (const point of await Promise.all(pointIds.map((pointId) => findPoint(context, pointId, options.signal))))
      if (point !== undefined) yield point;
  };
  let some: string[] = [];
  for await (const pointId of listIds(context, "points", options)) {
    some.push(pointId);
    if (some.length < READS_AT_ONCE) continue;
    yield* read(some);
    some = [];
  }
  yield* read(some);
}

/** The points that are not deleted. */
export async function* listPoints(context: RepositoryContext, options: ListOptions = {}): AsyncGenerator<Point> {
  const newest = await context.changes.newest(options.signal);
  for await (const point of listSealedPoints(context, options))
    if (deletionOf(newest, point.pointId) === undefined) yield point;
}

/** The id of a proof's object: proofs of one point lie together. */
export function proofKey({ pointId, proofId }: Pick<Proof, "pointId" | "proofId">): string {
  return OBJECT_IDS.proof(pointId, proofId);
}

async function findProof(context: RepositoryContext, key: string, signal?: AbortSignal): Promise<Proof | undefined> {
  const found = await getDocument(context, "proofs", key, signed, signal);
  if (found === undefined) return undefined;
  const name = objectName("proofs", key);
  return readDocument(proof, name, verifiedStatement(name, found.document, context.ring.trustedKeys));
}

/** Signs and seals a proof beside its point, once: the second time answers with what was sealed. */
export async function sealProof(context: RepositoryContext, value: Proof): Promise<Proof> {
  if ((await findPoint(context, value.pointId)) === undefined)
    throw new StillpointError("POINT_UNKNOWN", {
      what: "Cannot seal a proof",
      where: value.pointId,
      why: "the repository holds no such point",
    });
  if (await putDocument(context, "proofs", proofKey(value), signStatement(context.ring.signing, value))) return value;
  return (await findProof(context, proofKey(value))) ?? value;
}

/** `after` is a proof's key (proofKey). */
export async function* listProofs(
  context: RepositoryContext,
  options: ListOptions & { pointId?: string | undefined } = {},
): AsyncGenerator<Proof> {
  const within = options.pointId === undefined ? "" : `${options.pointId}/`;
  for await (const key of listIds(context, "proofs", { ...options, within })) {
    const found = await findProof(context, key, options.signal);
    if (found !== undefined) yield found;
  }
}

export async function proofsOf(context: RepositoryContext, pointId: string): Promise<Proof[]> {
  return await Array.fromAsync(listProofs(context, { pointId }));
}
