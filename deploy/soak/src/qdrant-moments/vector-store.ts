import { setTimeout as wait } from "node:timers/promises";
import { z } from "zod";
import { type VectorWrite, writeOf } from "./judge-vectors.ts";

export type VectorServer = { url: string; apiKey: string };

const DIMENSIONS = 16;
const PAGE = 2_000;

export async function call(server: VectorServer, method: string, path: string, body?: unknown): Promise<unknown> {
  const response = await fetch(`${server.url}${path}`, {
    method,
    headers: { "content-type": "application/json", "api-key": server.apiKey },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  });
  const text = await response.text();
  if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${text.slice(0, 300)}`);
  return Object(JSON.parse(text)).result;
}

export async function createCollection(server: VectorServer, name: string, shards: number): Promise<void> {
  const vectors = { size: DIMENSIONS, distance: "Cosine" };
  await call(server, "PUT", `/collections/${name}`, { vectors, shard_number: shards });
  await call(server, "PUT", `/collections/${name}/index?wait=true`, { field_name: "seq", field_schema: "integer" });
}

async function send(server: VectorServer, name: string, write: VectorWrite): Promise<void> {
  const path = `/collections/${name}/points`;
  if (write.do === "delete") {
    await call(server, "POST", `${path}/delete?wait=true`, { points: [write.id] });
    return;
  }
  const { id, seq } = write;
  const vector = Array.from({ length: DIMENSIONS }, (_, axis) => Math.sin(seq * 31 + axis * 7 + 1));
  await call(server, "PUT", `${path}?wait=true`, { points: [{ id, vector, payload: { seq } }] });
}

const page = z.object({
  points: z.array(z.object({ id: z.number(), payload: z.object({ seq: z.number() }) })),
  next_page_offset: z.number().nullish(),
});

export async function readState(server: VectorServer, name: string): Promise<Map<number, number>> {
  const state = new Map<number, number>();
  let offset: number | null | undefined;
  do {
    const body = { limit: PAGE, with_payload: true, ...(offset === undefined ? {} : { offset }) };
    const read = page.parse(await call(server, "POST", `/collections/${name}/points/scroll`, body));
    for (const { id, payload } of read.points) state.set(id, payload.seq);
    offset = read.next_page_offset;
  } while (offset !== null && offset !== undefined);
  return state;
}

/** One writer: the next write is sent when the one before it was answered. It can be made to pause between two of them. */
export function startWriter(server: VectorServer, name: string, pauseMs: number) {
  let isStopped = false;
  let pause: Promise<void> | undefined;
  let quiet: (() => void) | undefined;
  const counts = { acknowledged: 0, sent: 0 };
  const write = async () => {
    while (!isStopped) {
      if (pause !== undefined) {
        quiet?.();
        await pause;
        continue;
      }
      counts.sent += 1;
      await send(server, name, writeOf(counts.sent));
      counts.acknowledged = counts.sent;
      await wait(pauseMs);
    }
  };
  const ended = write();
  ended.catch(() => undefined); // thrown where it is waited for
  return {
    name,
    counts,
    /** Resolves when no write is under way; gives what lets them go on. */
    async hold(): Promise<() => void> {
      const { promise: isQuiet, resolve: isNow } = Promise.withResolvers<void>();
      const { promise, resolve: release } = Promise.withResolvers<void>();
      quiet = isNow;
      pause = promise;
      await Promise.race([isQuiet, ended]);
      return () => {
        pause = undefined;
        release();
      };
    },
    async stop() {
      isStopped = true;
      await ended;
    },
  };
}
export type VectorWriter = ReturnType<typeof startWriter>;
