import { randomBytes } from "node:crypto";
import { expect, test } from "vitest";
import { type Part, type PartSizes, shardParts } from "../src/shard-tar.ts";
import { BLOCK } from "../src/tar-header.ts";

/** A tar's entry as GNU writes it; enough of it for what is read here. */
function entry(name: string, content: Buffer, type = "0", extensions: Buffer[] = []): Buffer {
  const header = Buffer.alloc(BLOCK);
  header.write(name, 0, 100, "utf8");
  header.write(`${content.byteLength.toString(8).padStart(11, "0")}\0`, 124, "latin1");
  header.write(type, 156, "latin1");
  header.write("ustar  \0", 257, "latin1");
  if (extensions.length > 0) header[482] = 1;
  header.fill(" ", 148, 156);
  header.write(
    `${header
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, "0")}\0 `,
    148,
    "latin1",
  );
  const padding = Buffer.alloc((BLOCK - (content.byteLength % BLOCK)) % BLOCK);
  return Buffer.concat([header, ...extensions, content, padding]);
}

const continued = (more: boolean) => Buffer.alloc(BLOCK, 0).fill(more ? 1 : 0, 504, 505);
const longName = `segments/${"x".repeat(150)}/files/page_0.dat`;
const end = Buffer.alloc(2 * BLOCK);
const whole = Buffer.concat([
  entry("segments/a/files/segment.json", Buffer.from("{}")),
  entry("././@LongLink", Buffer.from(`${longName}\0`), "L"),
  entry(longName.slice(0, 99), randomBytes(70_000), "S", [continued(true), continued(false)]),
  entry("segments/a/files/version.info", Buffer.from("0.6.0")),
  entry("wal/closed-1", Buffer.alloc(8), "S", [continued(false)]),
  entry("replica_state.json", Buffer.from("{}")),
  entry("shard_config.json", Buffer.from("{}")),
  end,
]);
const SMALL: PartSizes = { joinedUpToBytes: 2_000, groupBytes: 3_000, pieceBytes: 20_000 };

async function* pieces(bytes: Buffer, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.byteLength; at += size) yield bytes.subarray(at, at + size);
}

async function read(bytes: Buffer, size = 4_096): Promise<{ parts: Part[]; bytes: Buffer }> {
  const parts: Part[] = [];
  const bodies: Buffer[] = [];
  for await (const part of shardParts(pieces(bytes, size), SMALL)) {
    const body = Buffer.concat(await Array.fromAsync(part.body));
    expect(body.byteLength).toBe(part.size);
    parts.push(part);
    bodies.push(body);
  }
  return { parts, bytes: Buffer.concat(bodies) };
}

test.each([1, 511, 4_096, 1_000_000])("the parts put together are the tar, in pieces of %d bytes", async (size) => {
  expect((await read(whole, size)).bytes.equals(whole)).toBe(true);
});

test("a part begins where an inner entry begins, or goes on with a long one at a fixed distance", async () => {
  const { parts } = await read(whole);
  // The long entry stands alone: its name's two blocks, its header and two blocks of its map come with its first part.
  const long = 5 * BLOCK + 137 * BLOCK;
  expect(parts.map(({ size, hint }) => [size, hint])).toEqual([
    [2 * BLOCK, "tar"],
    [20_000, "tar"],
    [20_000, "content"],
    [20_000, "content"],
    [long - 60_000, "content"],
    [7 * BLOCK, "tar"],
    [4 * BLOCK, "tar"],
  ]);
});

test("a tar that ends before its zero blocks is not whole, wherever it ends", async () => {
  for (let length = 0; length < whole.byteLength - BLOCK; length += 700) {
    const torn = read(whole.subarray(0, length));
    await expect(torn, `${length} bytes`).rejects.toMatchObject({ code: "SOURCE_LOST", retry: "backoff" });
  }
  await expect(read(whole.subarray(0, whole.byteLength - 1))).rejects.toMatchObject({ code: "SOURCE_LOST" });
});

test("a tar without the two entries that a server writes last is not whole", async () => {
  const segment = entry("segments/a/files/segment.json", Buffer.from("{}"));
  const state = entry("replica_state.json", Buffer.from("{}"));
  const config = entry("shard_config.json", Buffer.from("{}"));
  await read(Buffer.concat([segment, state, config, end]));
  for (const entries of [[segment], [segment, state], [segment, config], [config, state, segment]]) {
    await expect(read(Buffer.concat([...entries, end]))).rejects.toMatchObject({
      why: expect.stringContaining("without"),
    });
  }
});

test("a damaged header and bytes behind the end are not taken", async () => {
  const damaged = Buffer.from(whole);
  damaged[3] = 0x58;
  await expect(read(damaged)).rejects.toMatchObject({ why: "a header's checksum is wrong" });
  await expect(read(Buffer.concat([whole, Buffer.from("x")]))).rejects.toMatchObject({ code: "SOURCE_LOST" });
});
