import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readFile } from "node:fs/promises";
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
import { z } from "zod";

/** A running double with what the tests do to it. */
export type Double = AsyncDisposable & {
  server: QdrantServer;
  /** The addresses of all peers of its cluster; the first is the server's. */
  urls: string[];
  source: QdrantSource;
  tools: Tools;
  call: (method: string, path: string, body?: unknown, url?: string) => Promise<unknown>;
  /** A directory of its own. */
  directory: (label: string) => Promise<string>;
  context: (directory: string, more?: Partial<DriverContext>) => DriverContext;
};

export const API_KEY_REFERENCE = "${env:QDRANT_KEY}";

/** One server that is alone, or peers of a cluster; the source names them all. */
export async function startDouble({ peers = 1 }: { peers?: number } = {}): Promise<Double> {
  await using resources = new AsyncDisposableStack();
  const { path: base } = resources.use(await temporaryDirectory("qdrant-driver"));
  const part = await ensureQdrantDouble({ directory: PARTS_DIRECTORY }, QDRANT_DOUBLE_DIRECTORY);
  const server = resources.use(await ownQdrantDouble({ args: ["--peers", String(peers)] }));
  const text = await readFile(join(server.storageDirectory, "addresses.json"), "utf8");
  const urls = z.array(z.string()).parse(JSON.parse(text));
  const environment = Object.entries(part.env).map(([name, value]) => `${name}=${value}`);
  const tools = { qdrantCommand: ["env", ...environment, ...part.command], qdrantIsDouble: true };
  const others = peers === 1 ? {} : { peers: urls.slice(1) };
  const source = qdrantSource.parse({ kind: "qdrant", url: server.url, ...others, apiKey: API_KEY_REFERENCE });
  const never = new AbortController().signal;
  const owned = resources.move();
  return {
    server,
    urls,
    source,
    tools,
    call: (method, path, body, url = server.url) => call({ url, apiKey: server.apiKey }, method, path, body),
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

async function call(
  server: Pick<QdrantServer, "url" | "apiKey">,
  method: string,
  path: string,
  body?: unknown,
): Promise<unknown> {
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
export async function seedCollection({ call }: Double, name: string, points: number, more: object = {}): Promise<void> {
  await call("PUT", `/collections/${name}`, { vectors: { size: DIMENSIONS, distance: "Cosine" }, ...more });
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
