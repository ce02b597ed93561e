import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { toldApart } from "../format/damage.ts";

/** A read that the primary could not serve, and a replica did; or another pack that holds the same chunks, which it names. */
export type Fallback = { object: string; from: string; pack?: string; error: StillpointError };

/** A store with replicas of it. What it lists, writes and deletes is the primary alone. */
export interface StoreWithCopies extends ObjectStore {
  /** In the order in which they are asked. */
  readonly copies: readonly ObjectStore[];
  /** Hears of every read that a copy served: the primary wants repair, or cannot be reached. */
  readonly fellBack: (fallback: Fallback) => void;
}

/** The primary's store for readers: who reads through `readVerified` is given what a replica has, where the primary fails. */
export function withCopies(
  primary: ObjectStore,
  copies: readonly ObjectStore[],
  fellBack: (fallback: Fallback) => void,
): ObjectStore | StoreWithCopies {
  if (copies.length === 0) return primary;
  return { ...primary, copies, fellBack };
}

export function otherCopies(store: ObjectStore): StoreWithCopies | undefined {
  return "copies" in store && "fellBack" in store ? (store as StoreWithCopies) : undefined; // only withCopies makes both
}

/** What another copy may be asked for. That an object is not there is an answer, unless something needs it. */
const FALLS_BACK: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  "OBJECT_DAMAGED",
  "OBJECT_COLD",
  "STORE_UNREACHABLE",
  "STORE_DENIED",
  "BUCKET_MISSING",
]);

export type Verified = {
  /** Something that was read needs the object: that it is missing is damage. Else its absence is the answer. */
  mustExist?: boolean | undefined;
};

/**
 * Reads one object, and authenticates it in `read`: where the primary's copy is damaged or out of reach, the replicas' are
 * asked in order. The first failure is thrown where none of them serves.
 */
export async function readVerified<Result>(
  store: ObjectStore,
  object: string,
  read: (from: ObjectStore) => Promise<Result>,
  { mustExist = false }: Verified = {},
): Promise<Result> {
  try {
    return await read(store);
  } catch (thrown) {
    const error = await toldApart(store, thrown);
    const replicated = otherCopies(store);
    if (replicated === undefined || !(error instanceof StillpointError)) throw error;
    if (!FALLS_BACK.has(error.code) && !(mustExist && error.code === "OBJECT_MISSING")) throw error;
    for (const copy of replicated.copies) {
      try {
        const result = await read(copy);
        replicated.fellBack({ object, from: copy.url, error });
        return result;
      } catch (failure) {
        // The primary's failure is what is told, as long as there is another copy to ask; an abort is the caller's own.
        if (!(failure instanceof StillpointError)) throw failure;
      }
    }
    throw error;
  }
}
