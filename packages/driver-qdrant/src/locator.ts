import { StillpointError } from "@stillpoint/contracts/errors";

/** Where values are: the ids of a collection's points, or a field of their payloads. */
export type Place = { collection: string; field: string | undefined };

/** `collection.id` or `collection.payload.field`. Names may hold dots, so the longest one that is there is meant. */
export function parseLocator(of: string, known: readonly string[]): Place {
  const [collection] = known.filter((name) => of.startsWith(`${name}.`)).sort((a, b) => b.length - a.length);
  const rest = collection === undefined ? "" : of.slice(collection.length + 1);
  if (collection !== undefined && rest === "id") return { collection, field: undefined };
  const field = /^payload\.(.+)$/s.exec(rest)?.[1];
  if (collection !== undefined && field !== undefined) return { collection, field };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot find values in Qdrant",
    where: of,
    why:
      collection === undefined
        ? "it begins with no collection that is there"
        : "it names neither ids nor a payload field",
    hint: "write collection.id or collection.payload.field",
  });
}

/** The values at a path of a payload; those of an array one by one, those that are missing or null not at all. */
export function* valuesAt(payload: unknown, field: string): Generator<unknown> {
  yield* walk(payload, field.replaceAll("[]", "").split("."));
}

function* walk(value: unknown, path: readonly string[]): Generator<unknown> {
  if (Array.isArray(value)) {
    for (const each of value) yield* walk(each, path);
    return;
  }
  const [key, ...rest] = path;
  if (value === null || value === undefined) return;
  if (key === undefined) yield value;
  else if (typeof value === "object") yield* walk(Reflect.get(value, key), rest);
}

/** Objects have no plain text that another store would give. */
export function asText(value: unknown): string {
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
