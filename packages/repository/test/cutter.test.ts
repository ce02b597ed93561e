import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import { CUT, CUTTER_START, type Cut, type CutterState, cutter } from "../src/chunking/cutter.ts";
import { gearTable } from "../src/chunking/gear.ts";
import { DEFAULT_CHUNKING } from "../src/format/documents.ts";

const CHUNKING = { ...DEFAULT_CHUNKING, contentMin: 4096, contentTarget: 16_384, contentMax: 65_536 };
const cutting = cutter(CHUNKING, gearTable(new Uint8Array(32).fill(7)));
const SLAB = 200_000;
const HEADROOM = CHUNKING.contentMax;

function noise(length: number, seed: string): Buffer {
  const parts: Buffer[] = [];
  for (let at = 0; at < length; at += 64) parts.push(createHash("sha512").update(`${seed} ${at}`).digest());
  return Buffer.concat(parts).subarray(0, length);
}

/** The lengths of a file's chunks, cut slab by slab as a backup does it; `earlier` are ends of chunks counted from the file's start. */
function lengthsOf(file: Uint8Array, earlier: readonly number[] = [], cut: Cut = CUT.content): number[] {
  const lengths: number[] = [];
  let state: CutterState = CUTTER_START;
  let carry: Uint8Array = new Uint8Array(0);
  for (let from = 0; from < file.length; from += SLAB) {
    const bytes = file.subarray(from, from + SLAB);
    const slab = new Uint8Array(HEADROOM + SLAB);
    slab.set(carry, HEADROOM - carry.length);
    slab.set(bytes, HEADROOM);
    const ends = from + SLAB >= file.length;
    const behind = earlier.filter((end) => end > from).map((end) => end - from);
    const beyond = behind.findIndex((end) => end > bytes.length);
    const piece = {
      cut,
      length: bytes.length,
      begins: from === 0,
      ends,
      earlier: beyond < 0 ? behind : behind.slice(0, beyond + 1),
    };
    state = cutting.cut(slab, HEADROOM, [piece], state, lengths);
    const end = HEADROOM + bytes.length;
    carry = slab.slice(end - state.open, end);
  }
  return lengths;
}

function endsOf(lengths: readonly number[]): number[] {
  let end = 0;
  return lengths.map((length) => {
    end += length;
    return end;
  });
}

/** Chunks of `after` that `before` does not have. */
function fresh(before: Uint8Array, after: Uint8Array, lengths: readonly number[]): number {
  const hashes = (file: Uint8Array, ends: readonly number[]) =>
    ends.map((end, i) =>
      createHash("sha256")
        .update(file.subarray(ends[i - 1] ?? 0, end))
        .digest("hex"),
    );
  const known = new Set(hashes(before, endsOf(lengthsOf(before))));
  return hashes(after, endsOf(lengths)).filter((hash) => !known.has(hash)).length;
}

describe("content-defined chunks", () => {
  const file = noise(2_000_000, "file");
  const plain = lengthsOf(file);

  it("lie within their bounds, but for a file's last", () => {
    expect(plain.reduce((sum, length) => sum + length, 0)).toBe(file.length);
    expect(Math.min(...plain.slice(0, -1))).toBeGreaterThanOrEqual(CHUNKING.contentMin);
    expect(Math.max(...plain)).toBeLessThanOrEqual(CHUNKING.contentMax);
    expect(plain.length).toBeGreaterThan(50);
  });

  it("are the same where the ends of earlier ones are known", () => {
    expect(lengthsOf(file, endsOf(plain))).toEqual(plain);
  });

  it("are the same where ends are told that never were any", () => {
    for (const seed of ["a", "b", "c"]) {
      const told = Array.from({ length: 200 }, (_, i) => (noise(4, `${seed}${i}`).readUInt32BE() % 3_000_000) + 1);
      expect(
        lengthsOf(
          file,
          [...new Set(told)].sort((a, b) => a - b),
        ),
      ).toEqual(plain);
    }
  });

  it("are found again behind what was put in, taken out, or changed", () => {
    const inserted = Buffer.concat([file.subarray(0, 700_001), noise(333, "more"), file.subarray(700_001)]);
    const shortened = Buffer.concat([file.subarray(0, 400_000), file.subarray(401_111)]);
    const changed = Buffer.from(file);
    noise(50, "change").copy(changed, 1_234_567);
    for (const after of [inserted, shortened, changed, file.subarray(0, 1_111_111), noise(2_000_000, "other")]) {
      const lengths = lengthsOf(after, endsOf(plain));
      expect(lengths.reduce((sum, length) => sum + length, 0)).toBe(after.length);
      expect(Math.max(...lengths)).toBeLessThanOrEqual(CHUNKING.contentMax);
      expect(fresh(file, after, lengths)).toBeLessThanOrEqual(fresh(file, after, lengthsOf(after)) + 1);
    }
  });

  it("whose end is where it was are not looked through", () => {
    const [start = 0, end = 0] = endsOf(plain).slice(9, 11);
    const changed = Buffer.concat([file.subarray(0, start), noise(end - 64 - start, "other"), file.subarray(end - 64)]);
    expect(lengthsOf(changed).slice(0, 11)).not.toEqual(plain.slice(0, 11));
    expect(lengthsOf(changed, endsOf(plain))).toEqual(plain);
  });
});

it("a log is cut at fixed lengths from its start, whatever is in it and however it comes", () => {
  const { contentTarget } = CHUNKING;
  const log = noise(contentTarget * 30 + 5, "log");
  const lengths = lengthsOf(log, [], CUT.fixed);
  expect(lengths).toEqual([...Array.from({ length: 30 }, () => contentTarget), 5]);
  expect(lengthsOf(Buffer.alloc(contentTarget * 2), [], CUT.fixed)).toEqual([contentTarget, contentTarget]);
});
