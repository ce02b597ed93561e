import { StillpointError } from "@stillpoint/contracts/errors";

/** `glob#field`: a field, with dots for fields in fields, of each JSON file whose path in the tree matches. */
export type Locator = { glob: string; field: string[] };

export function parseLocator(text: string): Locator {
  const hash = text.lastIndexOf("#");
  const field = text.slice(hash + 1);
  if (hash > 0 && field !== "") return { glob: text.slice(0, hash), field: field.split(".") };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read a locator of files",
    where: text,
    why: "it must be a glob, # and a field, such as uploads/*.json#id",
  });
}

/** The scalar at the field; undefined where there is none. */
export function valueAt(document: unknown, field: readonly string[]): string | number | boolean | undefined {
  let at: unknown = document;
  for (const name of field) {
    if (typeof at !== "object" || at === null || !Object.hasOwn(at, name)) return undefined;
    at = Reflect.get(at, name);
  }
  return typeof at === "string" || typeof at === "number" || typeof at === "boolean" ? at : undefined;
}
