import { readFile } from "node:fs/promises";
import { describe, expect, test } from "vitest";
import { readLogHeader } from "../src/log-header.ts";
import { type Commit, createLogScanner } from "../src/log-scanner.ts";
import { transactions } from "./log-bytes.ts";

const real = await readFile(new URL("fixtures/neo4j-5.26.30/neostore.transaction.db.0", import.meta.url));
const LAST = 18;

function scan(bytes: Buffer, pieceBytes = bytes.length) {
  const commits: Commit[] = [];
  const scanner = createLogScanner({ offset: 128, txId: 1, checksum: undefined }, "log", (each) => commits.push(each));
  for (let at = 128; at < bytes.length; at += pieceBytes) scanner.push(bytes.subarray(at, at + pieceBytes));
  return { commits, tail: scanner.tail, ended: scanner.ended };
}
const whole = scan(real).commits;
/** Every place near a transaction's beginning and end, and some of the rest. */
const places = Array.from({ length: real.length - 128 }, (_, index) => index + 128).filter(
  (at) => at % 37 === 0 || whole.some(({ end }) => at >= end - 24 && at <= end + 36),
);

describe("a real server's log", () => {
  test("its header tells its version, what came before it, and its store", () => {
    expect(readLogHeader(real, "log")).toMatchObject({ logVersion: 0, lastTxId: 1 });
    expect(readLogHeader(real.subarray(0, 127), "log")).toBeUndefined();
    expect(readLogHeader(Buffer.alloc(128), "log")).toBeUndefined();
  });

  test("every transaction is found, to the last byte, whatever pieces it comes in", () => {
    expect(whole.map(({ txId }) => txId)).toEqual(Array.from({ length: LAST - 1 }, (_, index) => index + 2));
    expect(whole.at(-1)?.end).toBe(real.length);
    for (const pieceBytes of [1, 7, 22, 34, 128, 4096]) expect(scan(real, pieceBytes)).toEqual(scan(real));
    expect(scan(real).tail).toBe("clean");
  });

  test("a log that was cut anywhere ends at the last whole commit", () => {
    for (const length of [...places, real.length]) {
      if (length === 128) continue;
      const { commits, tail } = scan(real.subarray(0, length));
      expect(commits).toEqual(whole.filter(({ end }) => end <= length));
      const atBoundary = commits.at(-1)?.end === length;
      expect(tail, `cut at ${length}`).toBe(atBoundary ? "clean" : "open");
    }
  });

  test("a flipped byte ends the chain before the transaction it is in", () => {
    for (const at of places) {
      const flipped = Buffer.from(real);
      flipped[at] = (flipped[at] ?? 0) ^ 0x20;
      let commits: Commit[];
      try {
        ({ commits } = scan(flipped));
      } catch (error) {
        // A version byte was hit: refused by name, which is as good.
        expect(error).toMatchObject({ code: "SOURCE_UNSUPPORTED" });
        continue;
      }
      expect(commits, `flipped at ${at}`).toEqual(whole.filter(({ end }) => end <= at));
    }
  });

  test("the zeros of a file made long in advance are its end", () => {
    const { commits, tail, ended } = scan(Buffer.concat([real, Buffer.alloc(1 << 20)]), 65_536);
    expect(commits).toEqual(whole);
    expect({ tail, ended }).toEqual({ tail: "clean", ended: true });
  });

  test("bytes that continue nothing are told from an end", () => {
    const { commits, tail } = scan(Buffer.concat([real, Buffer.alloc(777, 0xa5)]));
    expect(commits).toEqual(whole);
    expect(tail).toBe("junk");
  });
});

test("a transaction that names another as the one before it is not taken", () => {
  const foreign = Buffer.concat([Buffer.alloc(128), transactions(2, 3), transactions(4, 5, 0xbadc0de)]);
  const { commits, tail } = scan(foreign);
  expect(commits.map(({ txId }) => txId)).toEqual([2, 3]);
  expect(tail).toBe("junk");
});

test("a commit's bytes inside of a transaction's data are not taken for a commit", () => {
  const bait = Buffer.alloc(22);
  bait.set([0x14, 0x05, 2]);
  const log = transactions(2, 2, 1, 200);
  // Put into the data before the checksum is made: the body of a transaction that was written like this.
  const body = Buffer.concat([log.subarray(0, 50), bait, log.subarray(72)]);
  const { commits } = scan(Buffer.concat([Buffer.alloc(128), body]));
  expect(commits).toEqual([]);
});

describe("another version", () => {
  test.each([
    [0x0f, "older"],
    [0x20, "only Neo4j Community 5.26"],
  ])("entries of version %i are refused, with what to do", (version, hint) => {
    const log = Buffer.concat([Buffer.alloc(128), transactions(2, 2)]);
    log[128] = version;
    expect(() => scan(log)).toThrow(
      expect.objectContaining({ code: "SOURCE_UNSUPPORTED", hint: expect.stringContaining(hint) }),
    );
  });

  test("a log in envelopes is refused", () => {
    const header = Buffer.from(real.subarray(0, 128));
    header[0] = 10;
    expect(() => readLogHeader(header, "log")).toThrow(expect.objectContaining({ code: "SOURCE_UNSUPPORTED" }));
  });
});
