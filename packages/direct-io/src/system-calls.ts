/**
 * Calls of the file system that the language's library does not have, by its own foreign function interface. A thread may
 * have it where it was started with `SYSTEM_CALL_FLAGS`.
 */
export type SystemCalls = {
  /** Names of a path's extended attributes, of a link's own; none where its file system has none. */
  attributeNames(path: string): string[];
  /** Undefined where it is not there (any more), or not ours to read. */
  attribute(path: string, name: string): Buffer | undefined;
  /** The error's number; 0 where it was set. */
  setAttribute(target: { path: string } | { fd: number }, name: string, value: Buffer): number;
  /** Where the next data and the next hole begin, from `offset` on; undefined behind the last data. */
  nextData(fd: number, offset: number): number | undefined;
  nextHole(fd: number, offset: number): number | undefined;
};

const FLAG = "--experimental-ffi";

/** For `execArgv` of a thread; empty where this runtime has no such interface. */
export const SYSTEM_CALL_FLAGS: readonly string[] =
  process.platform === "linux" && process.allowedNodeEnvironmentFlags.has(FLAG)
    ? [FLAG, "--disable-warning=ExperimentalWarning"]
    : [];

export function isSystemCallThread(): boolean {
  return process.execArgv.includes(FLAG);
}

/** What Linux allows at most for a list of names, and for a value. */
const MOST_BYTES = 65_536;
const SEEK_DATA = 3;
const SEEK_HOLE = 4;

/** Undefined where the thread has no such interface. */
export function openSystemCalls(): SystemCalls | undefined {
  if (!isSystemCallThread()) return undefined;
  const ffi = process.getBuiltinModule("node:ffi");
  const { functions } = ffi.dlopen(null, {
    llistxattr: { return: "i64", arguments: ["string", "pointer", "u64"] },
    lgetxattr: { return: "i64", arguments: ["string", "string", "pointer", "u64"] },
    lsetxattr: { return: "i32", arguments: ["string", "string", "pointer", "u64", "i32"] },
    fsetxattr: { return: "i32", arguments: ["i32", "string", "pointer", "u64", "i32"] },
    lseek: { return: "i64", arguments: ["i32", "i64", "i32"] },
    __errno_location: { return: "pointer", arguments: [] },
  });
  const memory = Buffer.alloc(MOST_BYTES);
  const seek = (fd: number, offset: number, whence: number) => {
    const found = Number(functions.lseek(fd, BigInt(offset), whence));
    return found < 0 ? undefined : found;
  };
  return {
    attributeNames(path) {
      const length = Number(functions.llistxattr(path, memory, BigInt(MOST_BYTES)));
      return length <= 0
        ? []
        : memory
            .toString("utf8", 0, length)
            .split("\0")
            .filter((name) => name !== "");
    },
    attribute(path, name) {
      const length = Number(functions.lgetxattr(path, name, memory, BigInt(MOST_BYTES)));
      return length < 0 ? undefined : Buffer.from(memory.subarray(0, length));
    },
    setAttribute(target, name, value) {
      // An empty buffer has no address.
      const bytes = value.length === 0 ? Buffer.alloc(1) : value;
      const length = BigInt(value.length);
      const result =
        "fd" in target
          ? functions.fsetxattr(target.fd, name, bytes, length, 0)
          : functions.lsetxattr(target.path, name, bytes, length, 0);
      return result === 0 ? 0 : ffi.getInt32(functions.__errno_location());
    },
    nextData: (fd, offset) => seek(fd, offset, SEEK_DATA),
    nextHole: (fd, offset) => seek(fd, offset, SEEK_HOLE),
  };
}
