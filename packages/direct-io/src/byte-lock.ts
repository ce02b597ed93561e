/**
 * Locks on one byte of a file, as POSIX has them (`fcntl`), by the language's foreign function interface. A lock is the
 * process's: closing any descriptor of the file drops it.
 */
import { isSystemCallThread } from "./system-calls.ts";

export type ByteLocks = {
  /** False: another process has it. Never waits. */
  take(fd: number, byte: number): boolean;
  release(fd: number, byte: number): void;
};

/** `F_SETLK`, and `struct flock` as 64-bit Linux has it: type (2), whence (2), start at 8, length at 16, pid at 24. */
const SET_LOCK = 6;
const [WRITE_LOCK, UNLOCK] = [1, 2];
const FLOCK_BYTES = 32;

/** Undefined where the thread has no such interface. */
export function openByteLocks(): ByteLocks | undefined {
  if (!isSystemCallThread()) return undefined;
  const { functions } = process.getBuiltinModule("node:ffi").dlopen(null, {
    fcntl: { return: "i32", arguments: ["i32", "i32", "pointer"] },
  });
  const set = (fd: number, byte: number, type: number) => {
    const lock = Buffer.alloc(FLOCK_BYTES);
    lock.writeInt16LE(type, 0);
    lock.writeBigInt64LE(BigInt(byte), 8);
    lock.writeBigInt64LE(1n, 16);
    return functions.fcntl(fd, SET_LOCK, lock) === 0;
  };
  return {
    take: (fd, byte) => set(fd, byte, WRITE_LOCK),
    release(fd, byte) {
      set(fd, byte, UNLOCK);
    },
  };
}
