import { rawJson } from "./json.ts";

/**
 * JSON in which every number is written again as it came: `1.0` stays a float, ids and floats keep all their digits. A
 * number that JavaScript would write otherwise is no number here, but something that only `formatJson` knows.
 */
export function parseVerbatim(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const source = context?.source;
    return typeof value === "number" && source !== undefined && source !== String(value) ? rawJson(source) : value;
  });
}
