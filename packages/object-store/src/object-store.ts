import type { LargeObjects } from "./large-objects.ts";
import type { ObjectClasses, StorageClass } from "./object-classes.ts";
import type { ObjectLocks } from "./object-locks.ts";

/** One object's name, its size, when the storage says that it was last written, and its class where the storage has any. */
export type ObjectInfo = { name: string; size: number; modifiedMs: number; storageClass?: StorageClass | undefined };

/** The parts in order, as one object. They must not change until the put has ended. */
export type ObjectBody = Uint8Array | readonly Uint8Array[];

export type PutOptions = {
  /** Fails with OBJECT_EXISTS, and changes nothing, where the name is taken: of several writers at once, one wins. */
  ifAbsent?: boolean;
  /** By the storage's clock. A storage without locks refuses with STORE_UNSUPPORTED and stores nothing. */
  retainUntilMs?: number | undefined;
  /** A storage without classes refuses with STORE_UNSUPPORTED and stores nothing. */
  storageClass?: StorageClass | undefined;
  signal?: AbortSignal | undefined;
};

export type ByteRange = { offset: number; length: number };

/**
 * Objects by name, written whole or not at all. An object is at most some 64 MiB by the repository's format, so a body is
 * in memory; what is larger is many objects. Every failure is a StillpointError: BUCKET_MISSING, STORE_DENIED,
 * STORE_UNREACHABLE, STORE_UNSUPPORTED, DISK_FULL, OBJECT_EXISTS, OBJECT_MISSING, OBJECT_RETAINED, OBJECT_COLD. What
 * `retry` says of it holds: "backoff" may be asked again.
 */
export interface ObjectStore extends AsyncDisposable {
  /** Where it is, for people. Never holds a credential. */
  readonly url: string;
  /** Only where this kind of storage can lock objects; whether the bucket has it switched on, `available` tells. */
  readonly locks?: ObjectLocks | undefined;
  /** Only where this kind of storage has classes. */
  readonly classes?: ObjectClasses | undefined;
  /** Only where a storage takes an object in parts: for what is larger than memory. */
  readonly large?: LargeObjects | undefined;
  /** Only where objects are files of this machine: the path of one, for who reads them in another thread. */
  readonly fileOf?: ((name: string) => string) | undefined;
  /** Resolves when the object is durable. Before that a reader sees the object before it, or none; never a part. */
  put(name: string, body: ObjectBody, options?: PutOptions): Promise<void>;
  /** A range that passes the end gives what there is: the caller compares lengths. OBJECT_COLD: it needs a thaw first. */
  get(name: string, range?: ByteRange, signal?: AbortSignal): Promise<Uint8Array>;
  /**
   * In the order of the names' bytes, page by page, beginning behind `after`. What was put before it began is in it: who collects
   * garbage relies on that.
   */
  list(
    prefix: string,
    options?: { after?: string | undefined; signal?: AbortSignal | undefined },
  ): AsyncIterable<ObjectInfo>;
  head(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined>;
  /**
   * Deleting what is not there is no error. OBJECT_RETAINED: it is still there, since a lock or a policy of the storage
   * keeps it; STORE_DENIED: these credentials may not even look at it.
   */
  delete(name: string, signal?: AbortSignal): Promise<void>;
  /** Milliseconds since the epoch by the storage's own clock, which `modifiedMs` is taken from. */
  now(signal?: AbortSignal): Promise<number>;
  /** Whether `ifAbsent` is decided by the storage itself, in one step. Where it is not, two writers at once may both win. */
  createsAtomically(signal?: AbortSignal): Promise<boolean>;
}

export function bodyParts(body: ObjectBody): readonly Uint8Array[] {
  return body instanceof Uint8Array ? [body] : body;
}

export function bodyLength(body: ObjectBody): number {
  return bodyParts(body).reduce((sum, part) => sum + part.length, 0);
}
