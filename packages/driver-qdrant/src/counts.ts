import { z } from "zod";
import { ask } from "./ask.ts";
import { forEach } from "./for-each.ts";
import type { QdrantServer } from "./server.ts";

const countAnswer = z.object({ result: z.object({ count: z.number().int().nonnegative() }) });

/** The exact number of points in each collection. */
export async function exactCounts(
  server: QdrantServer,
  collections: readonly string[],
  signal: AbortSignal,
): Promise<Record<string, number>> {
  const counted = await forEach(collections, signal, async (name): Promise<[string, number]> => {
    const about = { what: "Cannot count a collection's points", where: name, signal };
    const { result } = await ask(server, about, countAnswer, (init) =>
      server.api.countPoints({ collection_name: name, exact: true }, init),
    );
    return [name, result.count];
  });
  return Object.fromEntries(counted);
}
