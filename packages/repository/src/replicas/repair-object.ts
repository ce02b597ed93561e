import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { putAndRead } from "../put-and-read.ts";
import { readAuthentic } from "./copy-object.ts";
import { type VerifyContext, verifyObject } from "./verify-object.ts";

export type Repaired = {
  object: string;
  /**
   * `sound`: read once more it was whole, nothing was written. `no-copy`: no other target has it whole, nothing was
   * written. `retained`: the storage lets nobody replace it; reads go on falling back.
   */
  outcome: "sound" | "repaired" | "no-copy" | "retained";
  /** Where the bytes came from. */
  from?: string;
  why?: string;
};

/** Where the bytes of a damaged object go: outside of every kind, so that nothing reads, copies or sweeps them. */
export function quarantineName(object: string, bytes: Uint8Array): string {
  return `quarantine/${createHash("sha256").update(bytes).digest("hex")}/${object}`;
}

type Present = { damage?: undefined } | { damage: string; bytes: Uint8Array | undefined };

async function look(
  context: VerifyContext,
  store: ObjectStore,
  object: string,
  signal?: AbortSignal,
): Promise<Present> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await store.get(object, undefined, signal);
    await verifyObject(context, object, bytes);
    return {};
  } catch (error) {
    if (!(error instanceof StillpointError) || !["OBJECT_DAMAGED", "OBJECT_MISSING"].includes(error.code)) throw error;
    return { damage: error.why ?? error.what, bytes };
  }
}

/**
 * Puts the bytes that were once written under a name back where they were lost or damaged, from the first other target
 * that has them whole. No good copy is touched: what is replaced is authenticated as damaged, twice, right before, and
 * kept in quarantine; what replaces it is authenticated before it is written and read back afterwards.
 */
export async function repairObject(
  context: VerifyContext,
  store: ObjectStore,
  others: readonly ObjectStore[],
  object: string,
  signal?: AbortSignal,
): Promise<Repaired> {
  const first = await look(context, store, object, signal);
  const now = first.damage === undefined ? first : await look(context, store, object, signal);
  if (now.damage === undefined)
    return { object, outcome: "sound", ...(first.damage === undefined ? {} : { why: `transient: ${first.damage}` }) };
  for (const other of others) {
    let bytes: Uint8Array;
    try {
      bytes = await readAuthentic(context, other, object, signal);
    } catch (error) {
      // Damaged, missing or away there: the next one is asked, and the answer says where none had it.
      if (error instanceof StillpointError) continue;
      throw error;
    }
    try {
      if (now.bytes !== undefined) await putAndRead(store, quarantineName(object, now.bytes), now.bytes, { signal });
      // In a bucket with versions the damaged bytes stay beneath as an older version, for as long as a lock keeps them.
      await store.put(object, bytes, { ifAbsent: now.bytes === undefined, signal });
    } catch (error) {
      if (!(error instanceof StillpointError && error.code === "OBJECT_RETAINED")) throw error;
      return { object, outcome: "retained", why: error.why ?? error.what };
    }
    await readAuthentic(context, store, object, signal);
    return { object, outcome: "repaired", from: other.url, why: now.damage };
  }
  return { object, outcome: "no-copy", why: now.damage };
}
