import { StillpointError } from "@stillpoint/contracts/errors";
import { objectRetained } from "./object-errors.ts";

export type Method = "put" | "get" | "list" | "head" | "delete" | "now" | "createsAtomically";

/** What goes wrong with one call. On `put` a truncated or flipped body is stored, and success is answered. */
export type Fault =
  | { fault: "error"; error: Error }
  | { fault: "outOfSpace" }
  /** Refused: these credentials may not. */
  | { fault: "denied" }
  /** A delete that is refused: the object is locked. */
  | { fault: "retained" }
  /** The call is carried out, and its answer is lost. */
  | { fault: "lostAnswer" }
  /** Below zero: so many bytes short of the end. */
  | { fault: "truncate"; toBytes: number }
  | { fault: "flip"; atByte: number }
  /** Success is answered: of a put nothing is stored, or `stores` in place of the body; of a delete nothing goes. */
  | { fault: "lie"; stores?: Uint8Array }
  /** The call waits for the promise. */
  | { fault: "slow"; until: Promise<void> }
  /** A listing without entries: `count` of them from the place `from` on; below zero from the end. */
  | { fault: "loseEntries"; from: number; count: number }
  /** A listing that ends with an error behind so many entries. */
  | { fault: "breakOff"; after: number }
  /** The listing as it was before the last so many puts and deletes. */
  | { fault: "oldListing"; writes: number }
  /** What is put or deleted shows only after so many further calls of get, head and list. */
  | { fault: "late"; calls: number }
  /** This call is sound: it lets the next fault meet a later one. */
  | { fault: "none" };

const ANY: readonly Fault["fault"][] = ["error", "lostAnswer", "slow", "none"];
const MEETS: Record<Method, readonly Fault["fault"][]> = {
  put: [...ANY, "outOfSpace", "denied", "truncate", "flip", "lie", "late"],
  get: [...ANY, "truncate", "flip"],
  list: [...ANY, "loseEntries", "breakOff", "oldListing"],
  head: ANY,
  delete: [...ANY, "denied", "retained", "lie", "late"],
  now: ANY,
  createsAtomically: ANY,
};

/** A fault that a method cannot have would count as met and prove nothing. */
export function assertMeets(method: Method, { fault }: Fault): void {
  if (!MEETS[method].includes(fault)) throw new TypeError(`${method} cannot meet the fault ${fault}`);
}

/** The failure that a call ends with before anything is done, if the fault is one. */
export function refusal(fault: Fault, where: string): Error | undefined {
  if (fault.fault === "error") return fault.error;
  if (fault.fault === "outOfSpace")
    return new StillpointError("DISK_FULL", { what: "Cannot write an object", why: "no space left" });
  if (fault.fault === "denied")
    return new StillpointError("STORE_DENIED", { what: "The object store refused a call", why: "it is not allowed" });
  if (fault.fault === "retained") return objectRetained(where, "it is locked");
  return undefined;
}

export function lostAnswer(): StillpointError {
  return new StillpointError("STORE_UNREACHABLE", { what: "Lost the answer of the object store" });
}

/** The bytes as the fault leaves them. */
export function damaged(bytes: Uint8Array, fault: Fault): Uint8Array {
  if (fault.fault === "lie") return fault.stores ?? bytes;
  if (fault.fault === "truncate") return bytes.slice(0, fault.toBytes);
  if (fault.fault !== "flip" || bytes.length === 0) return bytes;
  const copy = bytes.slice();
  const at = fault.atByte < 0 ? copy.length + fault.atByte : fault.atByte;
  copy[at] = (copy[at] ?? 0) ^ 0x01;
  return copy;
}
