import { createWriteStream } from "node:fs";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { findOnPath } from "@stillpoint/parts/command";
import { ensureQdrant, ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { startQdrant } from "@stillpoint/parts/qdrant-server";
import { z } from "zod";
import type { StartCaptured } from "./captured-store.ts";

const DOUBLE = fileURLToPath(new URL("../../../../packages/testkit/qdrant-double", import.meta.url));
const DIMENSIONS = 256;
/** About, of a vector and its payload. */
const POINT_BYTES = 4 * DIMENSIONS + 200;
const BATCH = 500;
const CHANGED_PART = 100;

const snapshotMade = z.object({ result: z.object({ name: z.string() }) });

/** One collection: Qdrant's where it is on PATH, else that of the double that the tests run, which is said. */
export const startCapturedQdrant: StartCaptured = async ({ directory, partsDirectory, megabytes, log }) => {
  const options = { directory: partsDirectory, log };
  const [program] = await findOnPath("qdrant", process.env);
  const part = await (program === undefined ? ensureQdrantDouble(options, DOUBLE) : ensureQdrant(options));
  const server = await startQdrant({ part, dir: join(directory, "qdrant") });
  const call = async (method: string, path: string, body?: unknown): Promise<Response> => {
    const response = await fetch(new URL(path, server.url), {
      method,
      headers: { "content-type": "application/json", "api-key": server.apiKey },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${await response.text()}`);
    return response;
  };
  const write = async (from: number, count: number) => {
    for (let at = from; at < from + count; at += BATCH) {
      const ids = Array.from({ length: Math.min(BATCH, from + count - at) }, (_, i) => at + i);
      const vector = () => Array.from({ length: DIMENSIONS }, () => Math.random());
      const points = ids.map((id) => ({ id, vector: vector(), payload: { seq: id } }));
      await call("PUT", "/collections/items/points?wait=true", { points });
    }
  };
  const points = Math.ceil((megabytes * 1e6) / POINT_BYTES);
  await call("PUT", "/collections/items", { vectors: { size: DIMENSIONS, distance: "Cosine" } });
  await write(0, points);
  let turn = 0;
  let copies = 0;
  return {
    name: program === undefined ? "Qdrant's double" : "Qdrant",
    source: { kind: "qdrant", url: server.url, apiKey: "${env:BENCH_QDRANT_KEY}" },
    environment: { BENCH_QDRANT_KEY: server.apiKey },
    async change() {
      const part = Math.ceil(points / CHANGED_PART);
      await write((turn++ * 7 * part) % (points - part), part);
    },
    tools: [
      {
        name: "snapshot and its download",
        async full(at) {
          const made = await (await call("POST", "/collections/items/snapshots?wait=true")).json();
          const path = `/collections/items/snapshots/${snapshotMade.parse(made).result.name}`;
          const { body } = await call("GET", path);
          if (body === null) throw new Error("the snapshot has no body");
          await pipeline(Readable.fromWeb(body), createWriteStream(join(at, `copy-${++copies}.snapshot`)));
          await call("DELETE", path);
        },
      },
    ],
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
};
