import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { POINT_PREFIX, pointLine } from "./points-file.ts";
import { parseVerbatim } from "./verbatim-json.ts";

/** Points that are sent together, as they stand in the file: no digit of theirs is written anew. */
export type PointBatch = { type: "points"; points: string[]; lastId: unknown };
export type FilePart = { type: "header" | "collection" | "aliases" | "end"; value: unknown } | PointBatch;

const BATCH_POINTS = 500;
/** A server takes bodies of up to 32 MB unless it was told otherwise. */
const BATCH_CHARACTERS = 4 << 20;

/** The lines of a file of points, of which those of one collection come in batches. Throws for a line that is none of it. */
export async function* batchesOf(lines: AsyncIterable<string>): AsyncGenerator<FilePart> {
  let batch: PointBatch | undefined;
  let characters = 0;
  let isFirst = true;
  for await (const line of lines) {
    const value = parsed(line);
    if (!isFirst && line.startsWith(POINT_PREFIX)) {
      const { id } = pointOf(value, line);
      batch ??= { type: "points", points: [], lastId: id };
      batch.points.push(line.slice(POINT_PREFIX.length, -1));
      batch.lastId = id;
      characters += line.length;
      if (batch.points.length < BATCH_POINTS && characters < BATCH_CHARACTERS) continue;
    }
    if (batch !== undefined) yield batch;
    batch = undefined;
    characters = 0;
    if (isFirst || !line.startsWith(POINT_PREFIX)) yield { type: isFirst ? "header" : typeOf(value, line), value };
    isFirst = false;
  }
}

function pointOf(value: unknown, line: string): { id: unknown } {
  const found = pointLine.safeParse(value);
  if (found.success) return found.data.point;
  throw noLine(line, z.prettifyError(found.error));
}

function typeOf(value: unknown, line: string): "collection" | "aliases" | "end" {
  for (const type of ["collection", "aliases", "end"] as const) if (Object.hasOwn(Object(value), type)) return type;
  throw noLine(line, "it is none of a header, a collection, a point, aliases and the end");
}

function parsed(line: string): unknown {
  try {
    return parseVerbatim(line);
  } catch (cause) {
    throw noLine(line, "it is no JSON", cause);
  }
}

function noLine(line: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: "Cannot load points into the server",
    where: line.slice(0, 80),
    why,
    hint: "load a whole file that `stillpoint vectors export` wrote",
    cause,
  });
}
