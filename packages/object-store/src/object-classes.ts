import type { AroundCall } from "./object-locks.ts";

/** From quick and dear to store, to slow and cheap. Each storage has names of its own for them. */
export const STORAGE_CLASSES = ["standard", "infrequent", "archive", "deep-archive"] as const;
export type StorageClass = (typeof STORAGE_CLASSES)[number];

/** `readable`: as it is; `cold`: a thaw must be asked for; `thawing`: it was asked for, and is not there yet. */
export type ThawState = "readable" | "cold" | "thawing";

/** What a storage with classes can do for one object. A missing object is OBJECT_MISSING. */
export interface ObjectClasses {
  /** Moves what is stored to another class; its bytes stay, `modifiedMs` may become later. Where it is already, nothing changes. */
  move(name: string, storageClass: StorageClass, signal?: AbortSignal): Promise<void>;
  /** Asks for an object of a cold class to become readable for so many days at least. Asking again changes nothing. */
  thaw(name: string, keepDays: number, signal?: AbortSignal): Promise<void>;
  thawState(name: string, signal?: AbortSignal): Promise<ThawState>;
  /** How long a thaw of this class takes at most by the storage's own statement; 0: it is read as it is. */
  thawTakesMs(storageClass: StorageClass): number;
}

/** The same capability with every call passed through `around`, for wrappers. */
export function aroundClasses(classes: ObjectClasses | undefined, around: AroundCall): ObjectClasses | undefined {
  return (
    classes && {
      move: (name, storageClass, signal) => around(() => classes.move(name, storageClass, signal), "move", signal),
      thaw: (name, keepDays, signal) => around(() => classes.thaw(name, keepDays, signal), "thaw", signal),
      thawState: (name, signal) => around(() => classes.thawState(name, signal), "thawState", signal),
      thawTakesMs: classes.thawTakesMs,
    }
  );
}
