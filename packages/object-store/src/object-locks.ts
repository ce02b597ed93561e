export type LockState = {
  /** By the storage's clock; absent: no retention. */
  retainedUntilMs?: number | undefined;
  legalHold: boolean;
};

/** What a storage with object lock can do for one object. A missing object is OBJECT_MISSING. */
export interface ObjectLocks {
  /** Whether this bucket or container has it switched on. */
  available(signal?: AbortSignal): Promise<boolean>;
  /** Keeps the object until then, by the storage's clock. Never shortens: an earlier time than the present one changes nothing. */
  extend(name: string, untilMs: number, signal?: AbortSignal): Promise<void>;
  /** Keeps the object, whatever its retention, until it is switched off. Twice the same changes nothing. */
  setLegalHold(name: string, held: boolean, signal?: AbortSignal): Promise<void>;
  state(name: string, signal?: AbortSignal): Promise<LockState>;
}

export type AroundCall = <Result>(call: () => Promise<Result>, method: string, signal?: AbortSignal) => Promise<Result>;

/** The same capability with every call passed through `around`, for wrappers. */
export function aroundLocks(locks: ObjectLocks | undefined, around: AroundCall): ObjectLocks | undefined {
  return (
    locks && {
      available: (signal) => around(() => locks.available(signal), "available", signal),
      extend: (name, untilMs, signal) => around(() => locks.extend(name, untilMs, signal), "extend", signal),
      setLegalHold: (name, held, signal) =>
        around(() => locks.setLegalHold(name, held, signal), "setLegalHold", signal),
      state: (name, signal) => around(() => locks.state(name, signal), "state", signal),
    }
  );
}
