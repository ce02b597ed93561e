import { StillpointError } from "@stillpoint/contracts/errors";

/** A part of a locator: plain, or in double quotes with a double one for each that it holds. */
const PART = '(?:"(?:[^"]|"")+"|[^."]+)';
const LOCATOR = new RegExp(`^(?:${PART}\\.)?(?<table>${PART})\\.(?<column>${PART})$`);

/** `table.column`; a schema before it, as other kinds have one, is ignored. */
export function parseLocator(of: string): { table: string; column: string } {
  const { table, column } = LOCATOR.exec(of)?.groups ?? {};
  if (table !== undefined && column !== undefined) return { table: plain(table), column: plain(column) };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read a check's locator",
    where: of,
    why: "it is not table.column",
  });
}

function plain(part: string): string {
  return part.startsWith('"') ? part.slice(1, -1).replaceAll('""', '"') : part;
}
