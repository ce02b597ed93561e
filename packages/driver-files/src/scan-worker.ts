import { parentPort } from "node:worker_threads";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { Root } from "./roots.ts";
import { scan } from "./scan.ts";

export type ScanRequest = { roots: Root[]; exclude: string[] };

parentPort?.on("message", ({ roots, exclude }: ScanRequest) => {
  try {
    parentPort?.postMessage({ scan: scan(roots, exclude) });
  } catch (error) {
    parentPort?.postMessage({ error: toStillpointError(error, "Cannot look at the files").toBody() });
  }
});
