import neo4j from "neo4j-driver";

/**
 * A property as JSON that comes back as what it was. JSON's own types stand for strings, booleans, lists and those
 * integers that a number holds; everything else is an object with one key that begins with `$`.
 */
export type JsonValue = string | number | boolean | null | JsonValue[] | { [key: string]: JsonValue };

const { types } = neo4j;
const CLOCK = ["hour", "minute", "second", "nanosecond"];
const DAY = ["year", "month", "day"];

type Structure = { type: { prototype: object }; fields: string[]; make: (parts: Parts) => object };
/** Components as the client wants them: integers are bigint with the setting that is used here. */
type Parts = {
  integer: (index: number) => bigint;
  number: (index: number) => number;
  text: (index: number) => string;
  has: (index: number) => boolean;
};

const STRUCTURES: Record<string, Structure> = {
  $date: {
    type: types.Date,
    fields: DAY,
    make: ({ integer: i }) => new types.Date(i(0), i(1), i(2)),
  },
  $localTime: {
    type: types.LocalTime,
    fields: CLOCK,
    make: ({ integer: i }) => new types.LocalTime(i(0), i(1), i(2), i(3)),
  },
  $time: {
    type: types.Time,
    fields: [...CLOCK, "timeZoneOffsetSeconds"],
    make: ({ integer: i }) => new types.Time(i(0), i(1), i(2), i(3), i(4)),
  },
  $localDateTime: {
    type: types.LocalDateTime,
    fields: [...DAY, ...CLOCK],
    make: ({ integer: i }) => new types.LocalDateTime(i(0), i(1), i(2), i(3), i(4), i(5), i(6)),
  },
  $dateTime: {
    type: types.DateTime,
    fields: [...DAY, ...CLOCK, "timeZoneOffsetSeconds", "timeZoneId"],
    make: ({ integer: i, text, has }) =>
      new types.DateTime(
        ...([i(0), i(1), i(2), i(3), i(4), i(5), i(6)] as const),
        has(7) ? i(7) : undefined,
        has(8) ? text(8) : undefined,
      ),
  },
  $duration: {
    type: types.Duration,
    fields: ["months", "days", "seconds", "nanoseconds"],
    make: ({ integer: i }) => new types.Duration(i(0), i(1), i(2), i(3)),
  },
  $point: {
    type: types.Point,
    fields: ["srid", "x", "y", "z"],
    make: ({ integer, number, has }) =>
      new types.Point(integer(0), number(1), number(2), has(3) ? number(3) : undefined),
  },
};

export function toJson(value: unknown): JsonValue {
  if (value === null || value === undefined) return null;
  if (typeof value === "string" || typeof value === "boolean") return value;
  if (typeof value === "bigint") {
    const number = Number(value);
    return Number.isSafeInteger(number) ? number : { $integer: String(value) };
  }
  if (typeof value === "number") return { $float: Object.is(value, -0) ? "-0" : String(value) };
  if (Array.isArray(value)) return value.map(toJson);
  if (value instanceof Int8Array || value instanceof Uint8Array) {
    return { $bytes: Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString("base64") };
  }
  if (typeof value !== "object") throw new TypeError(`a ${typeof value} has no form in an export`);
  for (const [name, { type, fields }] of Object.entries(STRUCTURES)) {
    if (!Object.prototype.isPrototypeOf.call(type.prototype, value)) continue;
    const parts = new Map<string, unknown>(Object.entries(value));
    return { [name]: fields.map((field) => componentText(parts.get(field))) };
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, toJson(each)]));
}

/** The value of one property. */
export function fromJson(json: JsonValue): unknown {
  if (typeof json === "number") return BigInt(json);
  if (Array.isArray(json)) return json.map(fromJson);
  if (json === null || typeof json !== "object") return json;
  const [name = "", body = null] = Object.entries(json)[0] ?? [];
  const text = String(body);
  if (name === "$integer") return BigInt(text);
  if (name === "$float") return Number(text);
  if (name === "$bytes") return new Int8Array(Buffer.from(text, "base64"));
  const structure = STRUCTURES[name];
  if (structure === undefined || !Array.isArray(body)) throw new TypeError(`${name} is no form of a property`);
  return structure.make({
    integer: (index) => BigInt(String(body[index])),
    number: (index) => Number(body[index]),
    text: (index) => String(body[index]),
    has: (index) => body[index] !== null && body[index] !== undefined,
  });
}

/** As text, for 64-bit integers and floats alike; null where there is none. */
function componentText(value: unknown): string | null {
  return value === null || value === undefined ? null : String(value);
}
