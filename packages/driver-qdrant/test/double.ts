import { randomUUID } from "node:crypto";
import { mkdir, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { type QdrantSource, qdrantSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, Tools } from "@stillpoint/driver/driver";
import { extractTar } from "@stillpoint/driver/extract";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import { type QdrantServer, startQdrant } from "@stillpoint/parts/qdrant-server";

const root = resolve(import.meta.dirname, "../../..");

/** A running double with what the tests do to it. */
export type Double = AsyncDisposable & {
  server: QdrantServer;
  source: QdrantSource;
  tools: Tools;
  call: (method: string, path: string, body?: unknown) => Promise<unknown>;
  /** A directory of its own. */
  directory: (label: string) => Promise<string>;
  context: (directory: string, more?: Partial<DriverContext>) => DriverContext;
};

export const API_KEY_REFERENCE = "${env:QDRANT_KEY}";

export async function startDouble(): Promise<Double> {
  await using resources = new AsyncDisposableStack();
  const base = await mkdtemp(join(tmpdir(), "sp-qdrant-"));
  resources.defer(async () => await rm(base, { recursive: true, force: true }));
  const parts = { directory: process.env.STILLPOINT_PARTS ?? join(root, ".stillpoint/parts") };
  const part = await ensureQdrantDouble(parts, join(root, "packages/testkit/qdrant-double"));
  await mkdir(join(base, "server"));
  const server = resources.use(await startQdrant({ part, dir: join(base, "server") }));
  const environment = Object.entries(part.env).map(([name, value]) => `${name}=${value}`);
  const tools = { qdrantCommand: ["env", ...environment, ...part.command], qdrantIsDouble: true };
  const source = qdrantSource.parse({ kind: "qdrant", url: server.url, apiKey: API_KEY_REFERENCE });
  const never = new AbortController().signal;
  const owned = resources.move();
  return {
    server,
    source,
    tools,
    call: (method, path, body) => call(server, method, path, body),
    directory: async (label) => {
      const path = join(base, `${label}-${randomUUID().slice(0, 8)}`);
      await mkdir(path, { mode: 0o700 });
      return path;
    },
    context: (directory, more = {}) => ({
      directory,
      signal: never,
      secret: () => new Secret(server.apiKey),
      monotonicMs: () => performance.now(),
      now: () => Date.now(),
      log: () => undefined,
      tools,
      ...more,
    }),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

async function call(server: QdrantServer, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { "content-type": "application/json", "api-key": server.apiKey },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text}`);
  return JSON.parse(text).result;
}

const DIMENSIONS = 8;

export function point(id: number, seq = id) {
  const vector = Array.from({ length: DIMENSIONS }, (_, at) => Math.sin(id * 31 + at * 7 + 1));
  return { id, vector, payload: { seq, name: `point ${id}`, tags: [`t${id % 3}`, `t${id % 5}`] } };
}

/** A collection with an index, an alias and points 1 to `points`. */
export async function seedCollection({ call }: Double, name: string, points: number): Promise<void> {
  await call("PUT", `/collections/${name}`, { vectors: { size: DIMENSIONS, distance: "Cosine" } });
  await call("PUT", `/collections/${name}/index?wait=true`, { field_name: "seq", field_schema: "integer" });
  await call("POST", "/collections/aliases", {
    actions: [{ create_alias: { collection_name: name, alias_name: `${name}-live` } }],
  });
  const all = Array.from({ length: points }, (_, at) => point(at + 1));
  if (points > 0) await call("PUT", `/collections/${name}/points?wait=true`, { points: all });
}

/** Everything of a finish, as a directory. */
export async function finishInto(capture: Capture, directory: string): Promise<void> {
  const tar = createTarWriter();
  const made = capture.finish(tar).then(
    () => tar.end(),
    (error: unknown) => {
      tar.fail(error);
      throw error;
    },
  );
  const [making, taking] = await Promise.allSettled([made, extractTar(tar.stream, directory)]);
  for (const result of [making, taking]) if (result.status === "rejected") throw result.reason;
}
