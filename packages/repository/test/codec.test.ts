import { describe, expect, it } from "vitest";
import { CODEC, type Compression, pack, unpack } from "../src/format/codec.ts";
import { noise } from "./trial.ts";

const words = Buffer.from("the quick brown fox and the lazy dog, ".repeat(20_000));
const mixed = Buffer.concat([words.subarray(0, 300_000), noise(1, 20_000)]);

function stored(plain: Uint8Array, compression: Compression): { codec: number | undefined; length: number } {
  const [prefix, body] = pack(plain, compression);
  expect(unpack(Buffer.concat([prefix, body]), plain.length)).toEqual(Buffer.from(plain));
  return { codec: prefix[0], length: body.length };
}

describe("a chunk's compression", () => {
  it("is left out where it is switched off, and where it would save next to nothing", () => {
    expect(stored(words, "off")).toEqual({ codec: CODEC.stored, length: words.length });
    for (const compression of ["fast", "default", "max"] as const)
      for (const plain of [noise(3, 1_000_000), noise(4, 5_000), Buffer.alloc(0)])
        expect(stored(plain, compression)).toEqual({ codec: CODEC.stored, length: plain.length });
  });

  it("is smaller the harder it tries", () => {
    const text = Buffer.from(Array.from({ length: 60_000 }, (_, i) => `row ${i} of ${(i * 7919) % 1009}`).join("\n"));
    const lengths = (["fast", "default", "max"] as const).map((compression) => stored(text, compression).length);
    expect(lengths).toEqual([...lengths].sort((a, b) => b - a));
    expect(new Set(lengths).size).toBe(3);
    for (const plain of [words, mixed]) expect(stored(plain, "default")).toMatchObject({ codec: CODEC.zstd });
  });

  it("of what saves a little is for who asks for it", () => {
    const floats = new Float32Array(100_000);
    const source = noise(9, 400_000);
    for (let i = 0; i < floats.length; i++) floats[i] = source.readUInt32LE(i * 4) / 2 ** 32 - 0.5;
    const bytes = Buffer.from(floats.buffer);
    expect(stored(bytes, "default").codec).toBe(CODEC.stored);
    expect(stored(bytes, "max").codec).toBe(CODEC.zstd);
  });
});
