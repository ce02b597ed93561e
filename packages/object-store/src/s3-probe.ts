import { StillpointError } from "@stillpoint/contracts/errors";

/** One name for all processes: where deletes are refused there is one of it, and no more. */
const PROBE = "probe";

type Probed = {
  create: (name: string, signal?: AbortSignal) => Promise<void>;
  remove: (name: string, signal?: AbortSignal) => Promise<void>;
};

function isCode(error: unknown, code: string): boolean {
  return error instanceof StillpointError && error.code === code;
}

/** Whether a server decides conditional creates. Some ignore the condition and overwrite: only trying it shows which. */
export function conditionalCreateProbe({ create, remove }: Probed): (signal?: AbortSignal) => Promise<boolean> {
  const created = (signal?: AbortSignal) =>
    create(PROBE, signal).then(
      () => true,
      (error: unknown) => {
        if (isCode(error, "OBJECT_EXISTS")) return false;
        throw error;
      },
    );
  async function probe(signal?: AbortSignal): Promise<boolean> {
    // Left behind where deletes are refused, or by another process at this moment.
    if (!(await created(signal))) return true;
    const isDecided = !(await created(signal));
    await remove(PROBE, signal).catch((error: unknown) => {
      // It is one byte, and the next process goes by it.
      if (!isCode(error, "OBJECT_RETAINED")) throw error;
    });
    return isDecided;
  }
  let answer: Promise<boolean> | undefined;
  return (signal) => {
    answer ??= probe(signal).catch((error: unknown) => {
      answer = undefined;
      throw error;
    });
    return answer;
  };
}
