import { StillpointError } from "@stillpoint/contracts/errors";
import { toldApart } from "../format/damage.ts";
import { verifyObject } from "../replicas/verify-object.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { damageOf, type Findings } from "./report.ts";

export type Once<Result> = { result: Result } | { gone: true } | { damaged: { object: string; why: string } };

/** One read; `gone`: the object itself is not there. What is no answer about the object is thrown. */
async function once<Result>(found: Findings, object: string, read: () => Promise<Result>): Promise<Once<Result>> {
  try {
    return { result: await read() };
  } catch (thrown) {
    const error = await toldApart(found.store, thrown);
    if (error instanceof StillpointError && ["OBJECT_MISSING", "BACKUP_UNKNOWN"].includes(error.code))
      return { gone: true };
    return { damaged: damageOf(error, object) };
  }
}

/** Reads once more before an object is blamed: a second read that is sound makes the first one `transient`. */
export async function readTwice<Result>(
  found: Findings,
  object: string,
  read: () => Promise<Result>,
): Promise<Once<Result>> {
  const first = await once(found, object, read);
  if (!("damaged" in first)) return first;
  const second = await once(found, object, read);
  if ("result" in second) found.transient.push(first.damaged);
  return second;
}

/** Reads and authenticates one whole object. Undefined where it is gone, or damaged, which is then blamed. */
export async function verifyTwice(
  context: RepositoryContext,
  found: Findings,
  object: string,
  signal?: AbortSignal,
): Promise<{ bytes: number } | "gone" | "damaged"> {
  const read = await readTwice(found, object, async () => {
    const bytes = await context.store.get(object, undefined, signal);
    await verifyObject(context, object, bytes);
    return { bytes: bytes.length };
  });
  if ("result" in read) return read.result;
  if ("gone" in read) return "gone";
  found.blame(read.damaged);
  return "damaged";
}
