/**
 * JSON in which whole numbers keep their digits: ids of points and some settings are unsigned 64 bit numbers. What a
 * double holds exactly stays a number, the others are bigints.
 */
export function parseJson(text: string): unknown {
  return JSON.parse(text, (_key, value: unknown, context?: { source?: string }) => {
    const isInexact = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
    return isInexact && /^-?\d+$/.test(context?.source ?? "") ? BigInt(context?.source ?? 0) : value;
  });
}

export function formatJson(value: unknown): string {
  return JSON.stringify(value, (_key, each: unknown) => (typeof each === "bigint" ? rawJson(String(each)) : each));
}

/** Text that is written as it is. The language has it, the compiler's library does not know it yet. */
export function rawJson(text: string): unknown {
  const make: unknown = Reflect.get(JSON, "rawJSON");
  if (typeof make !== "function") throw new TypeError("this Node has no JSON.rawJSON; 22 or later is needed");
  return make.call(JSON, text);
}
