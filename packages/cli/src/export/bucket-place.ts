import { StillpointError } from "@stillpoint/contracts/errors";
import type { LargeObject } from "@stillpoint/object-store/large-objects";
import { storeUnsupported } from "@stillpoint/object-store/object-errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { type ExportPlace, type StagedFile, summing, sumOfAll } from "./export-place.ts";

const READ_BYTES = 16 * 1024 * 1024;

/** The pieces joined to one length, but for the last. */
async function* parts(content: AsyncIterable<Uint8Array>, length: number): AsyncGenerator<Uint8Array> {
  let held: Uint8Array[] = [];
  let bytes = 0;
  for await (const piece of content) {
    let rest = piece;
    while (bytes + rest.length >= length) {
      yield Buffer.concat([...held, rest.subarray(0, length - bytes)]);
      rest = rest.subarray(length - bytes);
      held = [];
      bytes = 0;
    }
    // A copy: who made the piece may write the next one over it.
    if (rest.length > 0) held.push(Buffer.from(rest));
    bytes += rest.length;
  }
  if (bytes > 0) yield Buffer.concat(held);
}

/** Objects of a bucket. One that is larger than a part is sent in parts, and shows when it is published. */
export function bucketPlace(store: ObjectStore, signal: AbortSignal): ExportPlace {
  async function* contentOf(name: string, size: number): AsyncGenerator<Uint8Array> {
    for (let offset = 0; offset < size; offset += READ_BYTES)
      yield await store.get(name, { offset, length: Math.min(READ_BYTES, size - offset) }, signal);
  }

  const begin = (name: string): Promise<LargeObject> => {
    if (store.large === undefined)
      throw storeUnsupported(store.url, `${name} is larger than an object may be that is sent whole`);
    return store.large.begin(name, signal);
  };

  async function stage(name: string, content: AsyncIterable<Uint8Array>, expectedBytes: number): Promise<StagedFile> {
    const reading = summing(content, signal);
    let first: Uint8Array | undefined;
    let object: LargeObject | undefined;
    const abandon = async () => {
      await object?.abandon();
      object = undefined;
    };
    try {
      for await (const part of parts(reading.content, store.large?.partBytes(expectedBytes) ?? READ_BYTES)) {
        if (object === undefined && first === undefined) first = part;
        else {
          object ??= await begin(name);
          if (first !== undefined) await object.write(first);
          first = undefined;
          await object.write(part);
        }
      }
    } catch (error) {
      await abandon();
      throw error;
    }
    return {
      ...reading.sum(),
      async publish() {
        if (object === undefined) return await store.put(name, first ?? new Uint8Array(0), { ifAbsent: true, signal });
        await object.finish();
        object = undefined;
      },
      [Symbol.asyncDispose]: abandon,
    };
  }

  return {
    url: store.url,
    async sumOf(name) {
      const found = await store.head(name, signal);
      return found && (await sumOfAll(contentOf(name, found.size), signal));
    },
    async readText(name) {
      try {
        return Buffer.from(await store.get(name, undefined, signal)).toString("utf8");
      } catch (error) {
        if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
        throw error;
      }
    },
    createText: (name, text) => store.put(name, Buffer.from(text), { ifAbsent: true, signal }),
    replaceText: (name, text) => store.put(name, Buffer.from(text), { signal }),
    stage,
    // What was begun and never finished shows nowhere: the bucket's rule for incomplete uploads takes it away.
    clear: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  };
}
