import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";

/** What the storage did not let go. */
export type Retained = { object: string; why: string };

const AT_ONCE = 16;
/** After so many refusals, and no deletion, the rest is not asked for. */
const REFUSALS = 3;

const STILL_THERE = "the storage answered that it is deleted, and shows it still";

function refusal(error: unknown): string | undefined {
  const isRefusal =
    error instanceof StillpointError && (error.code === "OBJECT_RETAINED" || error.code === "STORE_DENIED");
  return isRefusal ? (error.why ?? error.what) : undefined;
}

/**
 * Deletes one. Answers why it is there still, and undefined where it is gone: a refused deletion is no failure, the object is
 * retained, and told of as such. So is one that did nothing.
 */
export async function deleteObject(
  store: ObjectStore,
  object: string,
  signal?: AbortSignal,
): Promise<string | undefined> {
  try {
    await store.delete(object, signal);
    return (await store.head(object, signal)) === undefined ? undefined : STILL_THERE;
  } catch (error) {
    const why = refusal(error);
    if (why === undefined) throw error;
    return why;
  }
}

export async function deleteObjects(
  store: ObjectStore,
  objects: readonly string[],
  options: { before: () => Promise<void>; signal?: AbortSignal | undefined },
): Promise<{ deleted: string[]; retained: Retained[] }> {
  const deleted: string[] = [];
  const retained: Retained[] = [];
  for (let at = 0; at < objects.length; at += AT_ONCE) {
    const some = objects.slice(at, at + AT_ONCE);
    if (deleted.length === 0 && retained.length >= REFUSALS) {
      const why = retained[0]?.why ?? "";
      retained.push(...objects.slice(at).map((object) => ({ object, why })));
      break;
    }
    await options.before();
    await Promise.all(
      some.map(async (object) => {
        const why = await deleteObject(store, object, options.signal);
        if (why === undefined) deleted.push(object);
        else retained.push({ object, why });
      }),
    );
  }
  return { deleted, retained };
}
