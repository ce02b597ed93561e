import { StillpointError } from "@stillpoint/contracts/errors";
import { getDocument, putDocument } from "../documents-store.ts";
import { type Lease, lease } from "../format/documents.ts";
import { objectName } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import type { RepositoryContext } from "../repository-context.ts";

/** `storedMs`: by the storage's clock; the lease lives until `lengthMs` after it. */
export type StoredLease = Lease & { id: string; storedMs: number };

const FOLDER = objectName("leases", "");

export function isAlive({ storedMs, lengthMs }: Pick<StoredLease, "storedMs" | "lengthMs">, storageNowMs: number) {
  return storedMs + lengthMs > storageNowMs;
}

/** All lease objects there are, also outdated and dead ones. */
export async function readLeases(
  context: Pick<RepositoryContext, "store" | "ring" | "random">,
  signal?: AbortSignal,
): Promise<StoredLease[]> {
  const leases: StoredLease[] = [];
  for await (const { name, modifiedMs } of context.store.list(FOLDER, { signal })) {
    const id = name.slice(FOLDER.length);
    const found = await getDocument(context, "leases", id, lease, signal);
    if (found !== undefined) leases.push({ ...found.document, id, storedMs: modifiedMs });
  }
  return leases;
}

/** Pure: the newest lease of each holder, where it is alive. */
export function liveLeases(leases: readonly StoredLease[], storageNowMs: number): StoredLease[] {
  const newest = new Map<string, StoredLease>();
  for (const each of leases) {
    const before = newest.get(each.holder);
    if (before === undefined || each.sequence > before.sequence) newest.set(each.holder, each);
  }
  return [...newest.values()].filter((each) => isAlive(each, storageNowMs));
}

/** Stores a lease and answers with its own time; CONFLICT where this holder and sequence are there already. */
export async function putLease(
  context: Pick<RepositoryContext, "store" | "ring" | "random">,
  document: Lease,
  signal?: AbortSignal,
): Promise<StoredLease> {
  const id = OBJECT_IDS.lease(document.holder, document.sequence);
  const name = objectName("leases", id);
  const put = await putDocument(context, "leases", id, document, signal);
  const found = put ? await context.store.head(name, signal) : undefined;
  if (found === undefined) {
    // It may only show late: nobody is to wait for a holder that gave up.
    if (put) await dropLease(context, id);
    throw new StillpointError("CONFLICT", {
      what: "Cannot take a lease",
      where: name,
      why: put ? "it was put, and is not there" : "somebody else took it",
    });
  }
  return { ...document, id, storedMs: found.modifiedMs };
}

/** Takes a lease back. One that cannot be deleted ends by itself. */
export async function dropLease({ store }: Pick<RepositoryContext, "store">, id: string): Promise<void> {
  try {
    await store.delete(objectName("leases", id));
  } catch (error) {
    // It costs the collector some patience and nobody any data; what the holder did is done whether or not this works.
    if (!(error instanceof StillpointError)) throw error;
  }
}
