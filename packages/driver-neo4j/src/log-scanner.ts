import { crc32c } from "@node-rs/crc32";
import { StillpointError } from "@stillpoint/contracts/errors";

/** The version byte of every entry that Neo4j 5.26 writes; it changes with the meaning of the bytes behind it. */
export const ENTRY_VERSION = 0x14;
const START = 0x01;
const COMMIT = 0x05;
/** version, type, time, last committed, previous checksum, append index, length of what follows */
const START_BYTES = 34;
/** More would be no header of a transaction: its length is a 4-byte number, but the server writes a few bytes. */
const MAX_START_BYTES = 64 * 1024;
/** version, type, transaction id, time, checksum */
const COMMIT_BYTES = 22;

export type Commit = {
  txId: number;
  committedMs: number;
  checksum: number;
  /** Where the commit entry ends: the next transaction begins here. */
  end: number;
};

/**
 * What stands behind the last commit. `clean`: nothing, or the zeros of a file made long in advance. `open`: the
 * beginning of a transaction without its commit. `junk`: bytes that continue nothing.
 */
export type Tail = "clean" | "open" | "junk";

export type LogScanner = {
  /** The bytes that follow what was pushed before. */
  push(bytes: Buffer): void;
  readonly tail: Tail;
  /** Nothing that is pushed from here on can matter. */
  readonly ended: boolean;
};

/**
 * Finds the commits of one log file, without understanding commands: from a START, its commit is the entry with the
 * next transaction id whose CRC32C over all since the START is right; that START names the checksum of the commit
 * before it. So every byte up to the last commit is proved. Memory stays small however long a transaction is.
 */
export function createLogScanner(
  from: { offset: number; txId: number; checksum: number | undefined },
  where: string,
  onCommit: (commit: Commit) => void,
): LogScanner {
  let { txId, checksum } = from;
  /** Bytes not yet consumed, and where they begin in the file. */
  let pending: Buffer = Buffer.alloc(0);
  let at = from.offset;
  let inside = false;
  let running: number | undefined;
  let tail: Tail = "clean";
  let ended = false;

  const consume = (length: number) => {
    pending = pending.subarray(length);
    at += length;
  };

  /** At a boundary between transactions; false when no START stands here (yet). */
  const start = (): boolean => {
    if (pending.length === 0) return false;
    if (pending[0] === 0) {
      // No entry begins with a zero: the file was made long in advance, and this much of it is written.
      ended = true;
      return false;
    }
    if (pending[0] !== ENTRY_VERSION || (pending.length > 1 && pending[1] !== START)) {
      if (pending[1] === START && (pending[0] ?? 0) < 0x40) throw otherVersion(pending[0] ?? 0, where, at);
      tail = "junk";
      ended = true;
      return false;
    }
    tail = "open";
    if (pending.length < START_BYTES) return false;
    const follows = checksum === undefined || pending.readUInt32LE(18) === checksum;
    const length = START_BYTES + pending.readUInt32LE(30);
    if (!follows || length > MAX_START_BYTES) {
      tail = "junk";
      ended = true;
      return false;
    }
    if (pending.length < length) return false;
    inside = true;
    running = crc32c(pending.subarray(0, length));
    consume(length);
    return true;
  };

  /** Inside a transaction; false when its commit is not among the bytes at hand. */
  const commit = (): boolean => {
    const wanted = Buffer.alloc(10);
    wanted[0] = ENTRY_VERSION;
    wanted[1] = COMMIT;
    wanted.writeBigInt64LE(BigInt(txId + 1), 2);
    let done = 0;
    for (let found = pending.indexOf(wanted); found !== -1; found = pending.indexOf(wanted, found + 1)) {
      if (found + COMMIT_BYTES > pending.length) break;
      running = crc32c(pending.subarray(done, found), running);
      done = found;
      const sum = crc32c(pending.subarray(found, found + COMMIT_BYTES - 4), running);
      if (sum !== pending.readUInt32LE(found + COMMIT_BYTES - 4)) continue;
      const committedMs = Number(pending.readBigInt64LE(found + 10));
      consume(found + COMMIT_BYTES);
      inside = false;
      tail = "clean";
      txId += 1;
      checksum = sum;
      onCommit({ txId, committedMs, checksum, end: at });
      return true;
    }
    const safe = Math.max(done, pending.length - COMMIT_BYTES + 1);
    running = crc32c(pending.subarray(done, safe), running);
    consume(safe);
    return false;
  };

  return {
    push(bytes) {
      if (ended) return;
      pending = pending.length === 0 ? bytes : Buffer.concat([pending, bytes]);
      while (inside ? commit() : start());
    },
    get tail() {
      return tail;
    },
    get ended() {
      return ended;
    },
  };
}

function otherVersion(version: number, where: string, offset: number): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot read a transaction log",
    where: `${where}, byte ${offset}`,
    why: `its entries are of version ${version}, and only version ${ENTRY_VERSION} (Neo4j 5.26) is known`,
    hint:
      version < ENTRY_VERSION
        ? "the store was made by an older Neo4j: let one write transaction happen under 5.26, then restart the server"
        : "only Neo4j Community 5.26 can be captured from its files; leave `data` out for a logical export",
  });
}
