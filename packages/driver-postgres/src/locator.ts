import { StillpointError } from "@stillpoint/contracts/errors";
import { escapeIdentifier } from "pg";

export type Column = {
  /** Quoted for SQL. */
  relation: string;
  /** Quoted for SQL. */
  column: string;
  /** The column as the catalog has it. */
  name: string;
};

/** A part of a locator: plain, or in double quotes, with a double one for each that it holds. */
const PART = /"((?:[^"]|"")+)"|([^."]+)/y;

/**
 * `table.column` or `schema.table.column`, each as the catalog writes it (`Order` is not `order`).
 * Without a schema the search path decides.
 */
export function parseLocator(of: string): Column {
  const parts = split(of);
  const name = parts?.pop();
  if (parts === undefined || name === undefined || parts.length < 1 || parts.length > 2) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot read a check's locator",
      where: of,
      why: "it is neither table.column nor schema.table.column",
    });
  }
  return { relation: parts.map(escapeIdentifier).join("."), column: escapeIdentifier(name), name };
}

function split(of: string): string[] | undefined {
  const parts: string[] = [];
  for (PART.lastIndex = 0; ; PART.lastIndex += 1) {
    const match = PART.exec(of);
    const part = match?.[2] ?? match?.[1]?.replaceAll('""', '"');
    if (part === undefined) return undefined;
    parts.push(part);
    if (PART.lastIndex === of.length) return parts;
    if (of[PART.lastIndex] !== ".") return undefined;
  }
}
