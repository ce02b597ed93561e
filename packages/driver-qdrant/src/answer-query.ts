import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import { distinctValues } from "@stillpoint/driver/distinct-values";
import { readInventory } from "./inventory.ts";
import { type Place, parseLocator } from "./locator.ts";
import { maximum, texts } from "./scroll.ts";
import type { QdrantServer } from "./server.ts";
import { storeChecks } from "./store-checks.ts";

export async function* answerQuery(
  server: QdrantServer,
  query: Query,
  { mark, signal }: { mark: Mark; signal: AbortSignal },
): AsyncGenerator<QueryRow> {
  switch (query.type) {
    case "store":
      yield* storeChecks(server, mark, signal);
      return;
    case "values": {
      const place = await placeOf(server, query.of, signal);
      for await (const value of distinctValues(texts(server, place, signal))) yield { value };
      return;
    }
    case "max":
      yield { max: await maximum(server, await placeOf(server, query.of, signal), signal) };
      return;
    case "statement":
      throw new StillpointError("INVALID_REQUEST", {
        what: "Cannot run a statement",
        where: query.id,
        why: "Qdrant has no query language of its own; this check is for SQL or Cypher",
        hint: "use a reference or a sequence rule with collection.id or collection.payload.field",
      });
  }
}

/** A collection may be meant by its alias, as an application means it. */
async function placeOf(server: QdrantServer, of: string, signal: AbortSignal): Promise<Place> {
  const { collections, aliases } = await readInventory([server], signal);
  return parseLocator(of, [...collections.map(({ name }) => name), ...Object.keys(aliases)]);
}
