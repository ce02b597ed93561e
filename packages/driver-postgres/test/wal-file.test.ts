import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { readTar } from "@stillpoint/driver/tar-reader";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, test } from "vitest";
import { readWalFile, type WalStretch } from "../src/archive/read-wal-file.ts";
import { servePush } from "../src/archive/serve-push.ts";
import { parseWalName } from "../src/archive/wal-name.ts";

const resources = new AsyncDisposableStack();
afterAll(async () => await resources.disposeAsync());
let wal: string;
const SEGMENT = 1_048_576;

beforeAll(async () => {
  wal = join(resources.use(await temporaryDirectory("wal-file")).path, "pg_wal");
  await mkdir(wal);
});

/** A segment as a server begins it, with ones behind its head. */
async function segment(name: string, timeline: number, start: bigint, size = SEGMENT): Promise<string> {
  const bytes = Buffer.alloc(size, 1);
  bytes.writeUInt16LE(0xd110, 0);
  bytes.writeUInt16LE(0x0002, 2);
  bytes.writeUInt32LE(timeline, 4);
  bytes.writeBigUInt64LE(start, 8);
  bytes.writeUInt32LE(size, 32);
  await writeFile(join(wal, name), bytes);
  return join(wal, name);
}

async function filesOf(stretch: WalStretch | undefined): Promise<Record<string, Buffer>> {
  const tar = createTarWriter();
  const written = (stretch?.write(tar) ?? Promise.reject(new Error("nothing"))).then(() => tar.end());
  const files: Record<string, Buffer> = {};
  for await (const { entry, body } of readTar(tar.stream))
    if ("path" in entry) files[entry.path] = Buffer.concat(await Array.fromAsync(body));
  await written;
  return files;
}

test("names of a server's files are told from all others", () => {
  expect(parseWalName("000000010000000A000000FE")).toMatchObject({ is: "segment", timeline: 1 });
  const named = parseWalName("000000010000000A000000FE");
  expect(named?.is === "segment" && named.startIn(16_777_216)).toBe(0xa_fe00_0000n);
  expect(parseWalName("000000020000000000000003.partial")).toMatchObject({ is: "partial", timeline: 2 });
  expect(parseWalName("0000001F.history")).toEqual({ is: "history", timeline: 31 });
  expect(parseWalName("000000010000000000000003.00000028.backup")).toEqual({ is: "label" });
  for (const other of ["", "RECOVERYXLOG", "000000010000000000000003.gz", "../000000010000000000000003"])
    expect(parseWalName(other)).toBeUndefined();
});

test("a segment is the stretch that its name says, and a base's label is nothing that a restore needs", async () => {
  const path = await segment("000000010000000000000003", 1, 0x300000n);
  const stretch = await readWalFile(path);
  expect(stretch?.range).toEqual({ stream: "00000001", from: "0000000000300000", to: "0000000000400000" });
  expect(Object.keys(await filesOf(stretch))).toEqual(["pg_wal/000000010000000000000003"]);
  await writeFile(join(wal, "000000010000000000000003.00000028.backup"), "START WAL LOCATION");
  expect(await readWalFile(join(wal, "000000010000000000000003.00000028.backup"))).toBeUndefined();
});

test("where a timeline was left for another is told by both, and what the old one has behind it is not kept", async () => {
  const first = await segment("000000020000000000000005", 1, 0x500000n);
  await expect(readWalFile(first)).rejects.toMatchObject({ code: "SOURCE_DAMAGED", where: first });
  const left = await segment("000000010000000000000005.partial", 1, 0x500000n);
  await expect(readWalFile(left)).rejects.toMatchObject({ code: "SOURCE_DAMAGED", where: left });
  await writeFile(join(wal, "00000002.history"), "1\t0/500100\tno recovery target specified\n");
  const after = { stream: "00000001", at: "0000000000500100" };
  expect((await readWalFile(first))?.range).toEqual({
    stream: "00000002",
    from: "0000000000500000",
    to: "0000000000600000",
    after,
  });
  const files = await filesOf(await readWalFile(first));
  expect(files["pg_wal/00000002.history"]?.toString()).toContain("0/500100");
  const ended = await readWalFile(left);
  expect(ended?.range).toEqual({ stream: "00000001", from: "0000000000500000", to: "0000000000500100" });
  const bytes = (await filesOf(ended))["pg_wal/000000010000000000000005"];
  expect(bytes).toHaveLength(SEGMENT);
  expect(bytes?.[0xff]).toBe(1);
  expect(bytes?.subarray(0x100).every((byte) => byte === 0)).toBe(true);
  const history = await readWalFile(join(wal, "00000002.history"));
  expect(history?.range).toEqual({ stream: "00000002", from: after.at, to: after.at, after });
  await rm(join(wal, "00000002.history"));
});

test("a file that is not what its name says is refused", async () => {
  const refused = async (path: string) =>
    await expect(readWalFile(path)).rejects.toMatchObject({ code: "SOURCE_DAMAGED" });
  await refused(await segment("000000010000000000000007", 1, 0x800000n));
  await refused(await segment("000000010000000000000008", 2, 0x800000n));
  await refused(await segment("000000010000000000000009", 1, 0x900000n, SEGMENT + 8192));
  await writeFile(join(wal, "00000001000000000000000A"), Buffer.alloc(SEGMENT));
  await refused(join(wal, "00000001000000000000000A"));
  await refused(join(wal, "anything"));
});

test("a file is pushed before it is asked for, is answered each time that it is asked for, and a failure is told", async () => {
  await using temporary = await temporaryDirectory("push-client");
  const data = temporary.path;
  await mkdir(join(data, "pg_wal", "archive_status"), { recursive: true });
  const [first, second, third] = ["000000010000000000000001", "000000010000000000000002", "000000010000000000000003"];
  for (const name of [first, second, third])
    await writeFile(join(data, "pg_wal", "archive_status", `${name}.ready`), "");
  const pushed: string[] = [];
  let trouble: Error | undefined;
  const push = async (path: string) => {
    if (trouble !== undefined) throw trouble;
    pushed.push(path);
  };
  const home = join(data, "push");
  const failed: string[] = [];
  const asks = async (name: string) => {
    const child = spawn("sh", [join(home, "push"), `pg_wal/${name}`, name], { cwd: data, stdio: "ignore" });
    return (await once(child, "exit"))[0] as number; // what the event is declared to bring
  };
  {
    const telling = (name: string) => void failed.push(name);
    await using _serving = await servePush({ directory: home, push, atOnce: 2, ahead: 2, failed: telling });
    expect(await asks(first)).toBe(0);
    await waitFor("the next is pushed", () => pushed.length === 2);
    expect(pushed).toEqual([first, second].map((name) => join(data, "pg_wal", name)));
    expect(await asks(second)).toBe(0);
    // The server died before it had noted the answer.
    expect(await asks(second)).toBe(0);
    expect(pushed).toHaveLength(2);
    trouble = new Error("the vault is away");
    expect(await asks(third)).toBe(1);
    expect(failed).toEqual([third]);
    trouble = undefined;
    expect(await asks(third)).toBe(0);
    expect(await asks("../../etc/passwd")).toBe(1);
  }
  expect(await asks(third)).not.toBe(0);
});
