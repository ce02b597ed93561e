import { CUT } from "../chunking/cutter.ts";
import type { Chunking } from "../format/documents.ts";
import type { bodyWriter } from "./body-writer.ts";

const BLOCK = 512;
const HEADERS = { cut: CUT.bundle, unit: 0 } as const;
const CONTENT = { cut: CUT.content, unit: 0 } as const;

type Bodies = Pick<ReturnType<typeof bodyWriter>, "begin" | "write" | "end">;

/** The length of what follows a header block; undefined where the block is none. Zeros are one without anything behind it. */
export function innerLength(block: Buffer): number | undefined {
  let sum = 8 * 0x20;
  for (let at = 0; at < BLOCK; at++) if (at < 148 || at >= 156) sum += block[at] ?? 0;
  if (sum === 8 * 0x20) return 0;
  const number = (from: number, to: number) => {
    const text = block.toString("latin1", from, to).replace(/[\0 ]+/g, "");
    return /^[0-7]+$/.test(text) ? Number.parseInt(text, 8) : undefined;
  };
  if (number(148, 156) !== sum) return undefined;
  // A size that octal digits cannot hold is in base 256.
  return ((block[124] ?? 0) & 0x80) !== 0 ? block.readUIntBE(130, 6) : number(124, 136);
}

/**
 * Cuts a body that is a tar itself along its entries: a large one has chunks of its own, so that it dedupes wherever it
 * stands; headers and small ones are bundled. What turns out to be no tar is content from there on. The bytes are passed on
 * as they are.
 */
export function innerTar(bodies: Bodies, chunking: Chunking) {
  const header = Buffer.alloc(BLOCK);
  let filled = 0;
  /** Bytes of the entry that are still to come, and of its padding. */
  let body = 0;
  let padding = 0;
  let large = false;
  let broken = false;

  async function take(bytes: Uint8Array, most: number): Promise<Uint8Array> {
    await bodies.write(bytes.subarray(0, most));
    return bytes.subarray(most);
  }

  async function next(how: typeof HEADERS | typeof CONTENT): Promise<void> {
    await bodies.end();
    bodies.begin(how);
  }

  async function readHeader(): Promise<void> {
    filled = 0;
    const length = innerLength(header);
    broken = length === undefined;
    body = length ?? 0;
    padding = (BLOCK - (body % BLOCK)) % BLOCK;
    large = body >= chunking.bundleBelow;
    if (broken || large) await next(CONTENT);
  }

  return {
    begin: () => bodies.begin(HEADERS),
    end: () => bodies.end(),
    async write(bytes: Uint8Array): Promise<void> {
      for (let rest = bytes; rest.length > 0; ) {
        if (broken) return bodies.write(rest);
        if (body > 0) {
          const taken = Math.min(body, rest.length);
          rest = await take(rest, taken);
          body -= taken;
          if (body === 0 && (large || padding === 0)) await next(HEADERS);
        } else if (padding > 0) {
          const taken = Math.min(padding, rest.length);
          rest = await take(rest, taken);
          padding -= taken;
          if (padding === 0) await next(HEADERS);
        } else {
          const taken = Math.min(BLOCK - filled, rest.length);
          header.set(rest.subarray(0, taken), filled);
          filled += taken;
          rest = await take(rest, taken);
          if (filled === BLOCK) await readHeader();
        }
      }
    },
  };
}
