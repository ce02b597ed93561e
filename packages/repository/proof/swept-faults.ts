import { StillpointError } from "@stillpoint/contracts/errors";
import type { Fault, Method } from "@stillpoint/object-store/faults";

/**
 * `lasting`: what is stored is not what was sent. It may be found only by reading it, so it must then be named. `slow`: the
 * call waits until nothing else goes on.
 */
export type SweptFault = { title: string; fault: Fault | "slow"; lasting: boolean };

const passing = (title: string, fault: Fault | "slow"): SweptFault => ({ title, fault, lasting: false });
const lasting = (title: string, fault: Fault): SweptFault => ({ title, fault, lasting: true });

const unreachable: Fault = {
  fault: "error",
  error: new StillpointError("STORE_UNREACHABLE", { what: "Lost the object store" }),
};
const FAILS = [
  passing("fails", unreachable),
  passing("loses its answer", { fault: "lostAnswer" }),
  passing("is slower than all others", "slow"),
];
const FLIPS = [5, 40, -20];
const SHORT = [0, 10, -1];

/** What is tried at every call of a method. */
export const SWEPT_FAULTS: Record<Method, readonly SweptFault[]> = {
  put: [
    ...FAILS,
    passing("has no space", { fault: "outOfSpace" }),
    passing("is refused", { fault: "denied" }),
    passing("shows late", { fault: "late", calls: 4 }),
    lasting("lies and stores nothing", { fault: "lie" }),
    lasting("lies and stores something else", { fault: "lie", stores: Buffer.from("something else") }),
    ...SHORT.map((toBytes) => lasting(`stores ${toBytes} bytes`, { fault: "truncate", toBytes })),
    ...FLIPS.map((atByte) => lasting(`flips byte ${atByte}`, { fault: "flip", atByte })),
  ],
  get: [
    ...FAILS,
    ...SHORT.map((toBytes) => passing(`gives ${toBytes} bytes`, { fault: "truncate", toBytes })),
    ...FLIPS.map((atByte) => passing(`flips byte ${atByte}`, { fault: "flip", atByte })),
  ],
  list: [
    ...FAILS,
    passing("breaks off behind the first", { fault: "breakOff", after: 1 }),
    passing("loses the first", { fault: "loseEntries", from: 0, count: 1 }),
    passing("loses the last", { fault: "loseEntries", from: -1, count: 1 }),
    passing("loses all", { fault: "loseEntries", from: 0, count: 1_000 }),
    passing("is older by a write", { fault: "oldListing", writes: 1 }),
    passing("is older by all writes", { fault: "oldListing", writes: 1_000 }),
  ],
  head: FAILS,
  delete: [
    ...FAILS,
    passing("is refused", { fault: "denied" }),
    passing("is refused by a lock", { fault: "retained" }),
    passing("lies", { fault: "lie" }),
    passing("shows late", { fault: "late", calls: 4 }),
  ],
  now: FAILS,
  createsAtomically: FAILS,
};
