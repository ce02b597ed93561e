import { z } from "zod";

/** As a server answers it: a UUID, or an unsigned number of 64 bits. */
export const pointId = z.union([z.string(), z.number(), z.bigint()]);

/** A UUID always holds a dash, so that the text of an id says which of the two it is. */
export function idFromText(text: string): string | number | bigint {
  if (!/^\d+$/.test(text)) return text;
  return Number.isSafeInteger(Number(text)) ? Number(text) : BigInt(text);
}

/** The client sends a bigint as the number it is, and its types do not say so. */
export function sendable(id: string | number | bigint): string | number {
  return id as string | number;
}
