import { nameKey } from "../format/pack-format.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { giveBack } from "../workers/give-back.ts";
import { joinReads, locateChunk, type WantedChunk } from "./chunk-reader.ts";
import { readChunksAnywhere } from "./other-places.ts";

/** `length`: how many of the chunk's plain bytes are asked for, where that is known. */
export type Request<T> = { chunk: Uint8Array; length?: number; what: T } | { chunk?: undefined; what: T };

/** `users`: answers that wait for it, and the list of those that are kept. */
type Loaded = { bytes: Promise<Uint8Array>; users: number };

/** Bytes that are asked for together, so that neighbours can be joined. */
const BATCH_BYTES = 8 * 1024 * 1024;
/** Bytes that are under way or wait to be taken, over all batches: plain, or sealed where those are more. */
const AHEAD_BYTES = 32 * 1024 * 1024;
/** Answers that are under way or wait to be taken. */
const AHEAD_ANSWERS = 8192;
/** Plain bytes of chunks that were asked for and stay for a while: small files share them. */
const KEPT_BYTES = 16 * 1024 * 1024;

/** The chunks that were asked for last. One that is dropped here stays with those who wait for it. */
function keptChunks(release: (loaded: Loaded) => void) {
  const kept = new Map<string, Loaded>();
  const sizes = new Map<string, number>();
  let bytes = 0;

  function drop(): void {
    for (const [key, oldest] of kept) {
      if (bytes <= KEPT_BYTES) return;
      kept.delete(key);
      bytes -= sizes.get(key) ?? 0;
      sizes.delete(key);
      release(oldest);
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
      loaded.users++;
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

type Options = {
  signal?: AbortSignal | undefined;
  /** An answer's bytes are only looked at until the next is asked for: their memory is given back. */
  lent?: boolean | undefined;
};

/**
 * Answers requests in their order, each with its chunk, and reads ahead of who takes the answers. `where` names the object
 * that asks, should a chunk not be in the index.
 */
export async function* readAhead<T>(
  context: RepositoryContext,
  where: string,
  requests: AsyncIterable<Request<T>>,
  { signal, lent = false }: Options = {},
): AsyncGenerator<{ what: T; bytes: Uint8Array | undefined }> {
  const release = (loaded: Loaded) => {
    loaded.users--;
    if (lent && loaded.users === 0) loaded.bytes.then(giveBack, () => undefined); // a failure was thrown where it was taken
  };
  const kept = keptChunks(release);
  const answers: { what: T; loaded: Loaded | undefined; cost: number }[] = [];
  const controller = new AbortController();
  const ended = signal === undefined ? controller.signal : AbortSignal.any([controller.signal, signal]);
  const source = requests[Symbol.asyncIterator]();
  let ahead = 0;
  let done = false;

  async function fetchBatch(): Promise<void> {
    const wanted: WantedChunk[] = [];
    const slots = new Map<string, { resolve: (bytes: Uint8Array) => void; reject: (error: unknown) => void }>();
    let bytes = 0;
    while (bytes < BATCH_BYTES && answers.length < AHEAD_ANSWERS) {
      const next = await source.next();
      if (next.done) {
        done = true;
        break;
      }
      const { what } = next.value;
      if (next.value.chunk === undefined) {
        answers.push({ what, loaded: undefined, cost: 0 });
        continue;
      }
      const { chunk } = next.value;
      let cost = next.value.length ?? 0;
      const key = Buffer.from(chunk).toString("hex");
      let loaded = kept.get(key);
      if (loaded === undefined) {
        const found = await locateChunk(context, where, chunk, ended);
        wanted.push(found);
        const { promise, resolve, reject } = Promise.withResolvers<Uint8Array>();
        promise.catch(() => undefined); // it is thrown where its answer is taken
        slots.set(key, { resolve, reject });
        loaded = { bytes: promise, users: 0 };
        kept.set(key, loaded);
        cost = Math.max(cost, found.location.length);
        bytes += cost;
      }
      loaded.users++;
      ahead += cost;
      answers.push({ what, loaded, cost });
    }
    for (const read of joinReads(wanted)) {
      const keys = read.chunks.map(({ name }) => nameKey(name));
      readChunksAnywhere(context, read, ended).then(
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
      while (!done && ahead < AHEAD_BYTES && answers.length < AHEAD_ANSWERS) await fetchBatch();
      const answer = answers.shift();
      if (answer === undefined) return;
      ended.throwIfAborted();
      const bytes = await answer.loaded?.bytes;
      ahead -= answer.cost;
      yield { what: answer.what, bytes };
      if (answer.loaded !== undefined) release(answer.loaded);
    }
  } finally {
    controller.abort();
    await source.return?.();
  }
}
