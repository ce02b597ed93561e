import type { AroundCall } from "./object-locks.ts";

/** An object that is sent in parts, one after the other. Until it is finished nobody sees any of it. */
export interface LargeObject {
  /** All but the last are of one length, which `partBytes` said. Sending the same part again after a failure is allowed. */
  write(part: Uint8Array): Promise<void>;
  /**
   * The object is there, whole, once this resolves. OBJECT_EXISTS, and nothing changes, where the name is taken. Whatever it
   * fails with, it may be there: asked again after a lost answer it meets its own object. The caller looks at what is there.
   */
  finish(): Promise<void>;
  /** Takes back what was sent, where the storage does not do that by itself. */
  abandon(): Promise<void>;
}

/** For objects that no memory holds: what a person keeps beside a repository, never what the repository writes itself. */
export interface LargeObjects {
  /** The length of a part of an object of about so many bytes, of which a storage takes so many parts at most. */
  partBytes(expectedBytes: number): number;
  begin(name: string, signal?: AbortSignal): Promise<LargeObject>;
}

const MIB = 1024 * 1024;
const LEAST_PART_BYTES = 16 * MIB;
/** S3 takes 10 000 parts; what turns out larger than was expected has the rest. */
const PARTS = 5_000;

export function partBytes(expectedBytes: number): number {
  return Math.max(LEAST_PART_BYTES, Math.ceil(expectedBytes / PARTS / MIB) * MIB);
}

/** The same with every call passed through `around`, for wrappers. `sending` hears of each part before it is sent. */
export function aroundLarge(
  large: LargeObjects | undefined,
  around: AroundCall,
  sending: (bytes: number, signal?: AbortSignal) => Promise<void> | undefined = () => undefined,
): LargeObjects | undefined {
  return (
    large && {
      partBytes: large.partBytes,
      async begin(name, signal) {
        const object = await around(() => large.begin(name, signal), "begin", signal);
        return {
          async write(part) {
            await sending(part.length, signal);
            await around(() => object.write(part), "write", signal);
          },
          finish: () => around(() => object.finish(), "finish", signal),
          abandon: () => around(() => object.abandon(), "abandon"),
        };
      },
    }
  );
}
