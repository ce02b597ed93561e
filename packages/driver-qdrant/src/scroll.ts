import { z } from "zod";
import { ask } from "./ask.ts";
import { asText, type Place, valuesAt } from "./locator.ts";
import { pointId, sendable } from "./point-id.ts";
import type { QdrantServer } from "./server.ts";

const PAGE = 5_000;

const page = z.object({
  result: z.object({
    points: z.array(z.object({ id: pointId, payload: z.unknown().optional() })),
    next_page_offset: pointId.nullish(),
  }),
});

/** Every value at the place, page by page, in no order and as often as it is there. */
async function* values(
  server: QdrantServer,
  { collection, field }: Place,
  signal: AbortSignal,
): AsyncGenerator<unknown> {
  const about = { what: "Cannot read a collection's points", where: collection, signal };
  let offset: z.infer<typeof pointId> | null | undefined;
  do {
    const request = {
      collection_name: collection,
      limit: PAGE,
      with_vector: false,
      with_payload: field === undefined ? false : [field],
      ...(offset === null || offset === undefined ? {} : { offset: sendable(offset) }),
    };
    const { result } = await ask(server, about, page, (init) => server.api.scrollPoints(request, init));
    for (const { id, payload } of result.points) {
      if (field === undefined) yield id;
      else yield* valuesAt(payload, field);
    }
    offset = result.next_page_offset;
  } while (offset !== null && offset !== undefined);
}

export async function* texts(server: QdrantServer, place: Place, signal: AbortSignal): AsyncGenerator<string> {
  for await (const value of values(server, place, signal)) yield asText(value);
}

/** The highest number at the place, or null where there is none. */
export async function maximum(server: QdrantServer, place: Place, signal: AbortSignal): Promise<number | null> {
  let max: number | null = null;
  for await (const value of values(server, place, signal)) {
    const number = typeof value === "number" || typeof value === "bigint" ? Number(value) : Number.NaN;
    if (number > (max ?? Number.NEGATIVE_INFINITY)) max = number;
  }
  return max;
}
