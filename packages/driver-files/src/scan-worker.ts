import { parentPort } from "node:worker_threads";
import { type ErrorBody, toStillpointError } from "@stillpoint/contracts/errors";
import { holesOf } from "@stillpoint/direct-io/holes-of";
import { openSystemCalls } from "@stillpoint/direct-io/system-calls";
import type { Hole } from "@stillpoint/driver/tree";
import type { Root } from "./roots.ts";
import { type Found, scan, type Xattrs } from "./scan.ts";
import { keptAttributes } from "./xattrs.ts";

export type ScanRequest =
  | { ask: "begin"; roots: Root[]; exclude: string[] }
  | { ask: "next" }
  | { ask: "xattrs"; paths: string[] }
  | { ask: "holes"; fd: number; size: number };
export type ScanAnswer =
  | { found: Found[] | undefined }
  | { xattrs: (Xattrs | undefined)[] }
  | { holes: Hole[] }
  | { error: ErrorBody };

const BATCH = 1000;

const calls = openSystemCalls();
let scanning: Generator<Found> | undefined;

function next(): Found[] | undefined {
  const found: Found[] = [];
  while (found.length < BATCH) {
    const step = scanning?.next();
    if (step === undefined || step.done === true) break;
    found.push(step.value);
  }
  return found.length === 0 ? undefined : found;
}

function answer(request: ScanRequest): ScanAnswer {
  switch (request.ask) {
    case "begin":
      scanning = scan(request.roots, request.exclude);
      return { found: [] };
    case "next":
      return { found: next() };
    case "xattrs":
      return { xattrs: request.paths.map((path) => calls && keptAttributes(calls, path)) };
    case "holes":
      return { holes: calls === undefined ? [] : holesOf(calls, request.fd, request.size) };
  }
}

parentPort?.on("message", (request: ScanRequest) => {
  try {
    parentPort?.postMessage(answer(request) satisfies ScanAnswer);
  } catch (error) {
    const body = toStillpointError(error, "Cannot look at the files").toBody();
    parentPort?.postMessage({ error: body } satisfies ScanAnswer);
  }
});
