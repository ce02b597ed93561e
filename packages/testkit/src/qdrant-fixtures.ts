import { createHash } from "node:crypto";
import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { z } from "zod";

export type Json = null | boolean | number | string | Json[] | { [key: string]: Json };
const json: z.ZodType<Json> = z.json();

/** Snapshots that a server 1.17.1 made, and what it answered about them. */
export const fixtures = fileURLToPath(new URL("../fixtures/qdrant-1.17.1", import.meta.url));
export const expected = z
  .object({
    collections: z.record(
      z.string(),
      z.object({
        points: z.number(),
        sha256: z.string(),
        snapshot: z.string(),
        snapshotSha256: z.string(),
        payloadIndexes: z.array(z.string()),
        nearest5ToSin: z.array(z.union([z.string(), z.number()])),
      }),
    ),
  })
  .parse(JSON.parse(await readFile(`${fixtures}/expected.json`, "utf8")));

const page = z.object({
  points: z.array(z.record(z.string(), json)),
  next_page_offset: z.union([z.string(), z.number()]).nullable(),
});

/** SHA-256 over the JSON of every point, with sorted keys and vectors as the floats of 32 bits that they are. */
export async function digest(
  server: { url: string; apiKey: string },
  collection: string,
): Promise<{ points: number; sha256: string }> {
  const hash = createHash("sha256");
  let points = 0;
  let offset: string | number | null = null;
  do {
    const body = { limit: 1_000, with_payload: true, with_vector: true, ...(offset === null ? {} : { offset }) };
    const response = await fetch(`${server.url}/collections/${collection}/points/scroll`, {
      method: "POST",
      headers: { "api-key": server.apiKey, "content-type": "application/json" },
      body: JSON.stringify(body),
    });
    const read = z.object({ result: page }).parse(await response.json()).result;
    for (const { id, payload = null, vector = null } of read.points) {
      hash.update(JSON.stringify(sorted({ id: id ?? null, payload, vector: asFloat32(vector) })));
      points += 1;
    }
    offset = read.next_page_offset;
  } while (offset !== null);
  return { points, sha256: hash.digest("hex") };
}

/** Each number as the shortest one that is the same float of 32 bits: what a server writes. */
function asFloat32(value: Json): Json {
  if (Array.isArray(value)) return value.map(asFloat32);
  if (typeof value === "object" && value !== null) {
    return Object.fromEntries(
      Object.entries(value).map(([key, each]) => [key, key === "indices" ? each : asFloat32(each)]),
    );
  }
  if (typeof value !== "number") return value;
  for (let digits = 1; digits < 10; digits += 1) {
    const short = Number(value.toPrecision(digits));
    if (Math.fround(short) === Math.fround(value)) return short;
  }
  return value;
}

function sorted(value: Json): Json {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(
    Object.keys(value)
      .sort()
      .map((key) => [key, sorted(value[key] ?? null)]),
  );
}
