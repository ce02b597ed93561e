import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Of a machine that is taken for two: the store and its load have one processor, all else another. */
const STORE = "0";
const OTHERS = "1";

/** Where the processes that this one starts from now on run, and what a command is put behind to run beside the store. */
export type Processors = {
  ofStore: () => Promise<void>;
  ofOthers: () => Promise<void>;
  besideStore: readonly string[];
};

/** `apart`: as if the store had a machine of its own. It takes Linux's `taskset` (util-linux) and two processors. */
export function processors(apart: boolean): Processors {
  if (!apart) return { ofStore: async () => undefined, ofOthers: async () => undefined, besideStore: [] };
  if (availableParallelism() < 2)
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot measure a store apart",
      why: "this machine has one processor",
    });
  const goTo = async (processor: string) => {
    await promisify(execFile)("taskset", ["--all-tasks", "--pid", "--cpu-list", processor, String(process.pid)]);
  };
  return { ofStore: () => goTo(STORE), ofOthers: () => goTo(OTHERS), besideStore: ["taskset", "--cpu-list", STORE] };
}
