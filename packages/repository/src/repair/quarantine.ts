import { objectDamaged } from "../format/damage.ts";
import { deleteObjects } from "../garbage/delete-objects.ts";
import { quarantineName } from "../replicas/repair-object.ts";
import type { RepositoryContext } from "../repository-context.ts";

type Options = { before: () => Promise<void>; signal?: AbortSignal | undefined };

/**
 * Takes a damaged object out of the repository and loses no byte of it: its copy in quarantine is durable, and read back,
 * before it goes. Answers why it could not go, where the storage keeps it.
 */
export async function moveToQuarantine(
  { store }: Pick<RepositoryContext, "store">,
  object: string,
  bytes: Uint8Array,
  options: Options,
): Promise<string | undefined> {
  const copy = quarantineName(object, bytes);
  await options.before();
  await store.put(copy, bytes, { signal: options.signal });
  const there = await store.get(copy, undefined, options.signal);
  if (!Buffer.from(there.buffer, there.byteOffset, there.length).equals(bytes))
    throw objectDamaged(copy, "it was just written, and reads otherwise");
  const { retained } = await deleteObjects(store, [object], options);
  return retained[0]?.why;
}
