import type { RepositoryContext } from "../repository-context.ts";
import { joinReads, locateChunk, readChunksAgain, type WantedChunk } from "./chunk-reader.ts";

export type Request<T> = { chunk: Uint8Array; what: T } | { chunk?: undefined; what: T };

type Loaded = { bytes: Promise<Uint8Array>; length: number };

/** Sealed bytes that are asked for together, so that neighbours can be joined. */
const BATCH_BYTES = 4 * 1024 * 1024;
/** Sealed bytes that are under way or wait to be taken, over all batches. */
const AHEAD_BYTES = 16 * 1024 * 1024;
/** Plain bytes of chunks that were asked for and stay for a while: small files share them. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** The chunks that were asked for last. One that is dropped here stays with those who wait for it. */
function keptChunks() {
  const kept = new Map<string, Loaded>();
  const sizes = new Map<string, number>();
  let bytes = 0;

  function drop(): void {
    for (const oldest of kept.keys()) {
      if (bytes <= KEPT_BYTES) return;
      kept.delete(oldest);
      bytes -= sizes.get(oldest) ?? 0;
      sizes.delete(oldest);
    }
  }

  return {
    get(key: string): Loaded | undefined {
      const found = kept.get(key);
      if (found === undefined) return undefined;
      kept.delete(key);
      kept.set(key, found);
      return found;
    },
    set(key: string, loaded: Loaded): void {
      kept.set(key, loaded);
      loaded.bytes.then(
        ({ length }) => {
          if (kept.get(key) !== loaded) return;
          sizes.set(key, length);
          bytes += length;
          drop();
        },
        () => kept.delete(key),
      );
    },
  };
}

/**
 * Answers requests in their order, each with its chunk, and reads ahead of who takes the answers. `where` names the object
 * that asks, should a chunk not be in the index.
 */
export async function* readAhead<T>(
  context: RepositoryContext,
  where: string,
  requests: AsyncIterable<Request<T>>,
  signal?: AbortSignal,
): AsyncGenerator<{ what: T; bytes: Uint8Array | undefined }> {
  const kept = keptChunks();
  const answers: { what: T; loaded: Loaded | undefined }[] = [];
  const controller = new AbortController();
  const ended = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const source = requests[Symbol.asyncIterator]();
  let ahead = 0;
  let done = false;

  async function fetchBatch(): Promise<void> {
    const wanted: WantedChunk[] = [];
    const slots = new Map<string, { resolve: (bytes: Uint8Array) => void; reject: (error: unknown) => void }>();
    let bytes = 0;
    while (bytes < BATCH_BYTES && answers.length < 8192) {
      const next = await source.next();
      if (next.done) {
        done = true;
        break;
      }
      const { chunk, what } = next.value;
      if (chunk === undefined) {
        answers.push({ what, loaded: undefined });
        continue;
      }
      const key = Buffer.from(chunk).toString("hex");
      let loaded = kept.get(key);
      if (loaded === undefined) {
        const found = await locateChunk(context, where, chunk, ended);
        wanted.push(found);
        const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
        promise.catch(() => undefined); // it is thrown where its answer is taken
        slots.set(key, { resolve, reject });
        loaded = { bytes: promise, length: found.location.length };
        kept.set(key, loaded);
        bytes += found.location.length;
      }
      ahead += loaded.length;
      answers.push({ what, loaded });
    }
    for (const read of joinReads(wanted)) {
      const keys = read.chunks.map(({ name }) => Buffer.from(name).toString("hex"));
      readChunksAgain(context, read, ended).then(
        (opened) => {
          for (const [key, plain] of opened) slots.get(key)?.resolve(plain);
        },
        (error: unknown) => {
          for (const key of keys) slots.get(key)?.reject(error);
        },
      );
    }
  }

  try {
    for (;;) {
      while (!done && ahead < AHEAD_BYTES && answers.length < 8192) await fetchBatch();
      const answer = answers.shift();
      if (answer === undefined) return;
      ended.throwIfAborted();
      const bytes = await answer.loaded?.bytes;
      ahead -= answer.loaded?.length ?? 0;
      yield { what: answer.what, bytes };
    }
  } finally {
    controller.abort();
    await source.return?.();
  }
}
