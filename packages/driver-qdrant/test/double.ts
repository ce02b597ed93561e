import { randomBytes, randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { type QdrantSource, qdrantSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, Tools } from "@stillpoint/driver/driver";
import { extractTar } from "@stillpoint/driver/extract";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { ensureQdrantDouble } from "@stillpoint/parts/qdrant-part";
import type { QdrantServer } from "@stillpoint/parts/qdrant-server";
import { PARTS_DIRECTORY, QDRANT_DOUBLE_DIRECTORY } from "@stillpoint/testkit/parts-directory";
import { ownQdrantDouble } from "@stillpoint/testkit/qdrant";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";

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
  const { path: base } = resources.use(await temporaryDirectory("qdrant-driver"));
  const part = await ensureQdrantDouble({ directory: PARTS_DIRECTORY }, QDRANT_DOUBLE_DIRECTORY);
  const server = resources.use(await ownQdrantDouble());
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

/** More than two sockets hold, so that a stream of it stands still until it is read. */
export async function seedBulk({ call }: Double, name: string): Promise<void> {
  const many = (first: number) =>
    Array.from({ length: 500 }, (_, at) => {
      const { id, vector } = point(first + at);
      return { id, vector, payload: { bulk: randomBytes(8_192).toString("base64") } };
    });
  await call("PUT", `/collections/${name}`, { vectors: { size: DIMENSIONS, distance: "Cosine" } });
  for (const first of [1, 501, 1001])
    await call("PUT", `/collections/${name}/points?wait=true`, { points: many(first) });
}

/** Everything of a finish, as a directory. */
export async function finishInto(finish: Capture["finish"], directory: string): Promise<void> {
  const tar = createTarWriter();
  const made = finish(tar).then(
    () => tar.end(),
    (error: unknown) => {
      tar.fail(error);
      throw error;
    },
  );
  const [making, taking] = await Promise.allSettled([made, extractTar(tar.stream, directory)]);
  for (const result of [making, taking]) if (result.status === "rejected") throw result.reason;
}
