import { randomBytes } from "node:crypto";
import { mkdir, readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeEntry } from "@stillpoint/driver/tree";
import { directoryStore } from "@stillpoint/object-store/directory";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { prepareRestore } from "@stillpoint/testkit/restore-py";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";

const MB = 1_048_576;
const PASSPHRASE = "a passphrase of the tests";

/** What the golden repository cannot show: it was made before the format had these fields. */
test("restore.py makes links of what was linked, and holes of what were some", async () => {
  await using directory = await temporaryDirectory("links-and-holes");
  const { path } = directory;
  const passphrase = new Secret(PASSPHRASE);
  await mkdir(join(path, "repository"));
  const store = directoryStore(join(path, "repository"));
  const random = (length: number) => new Uint8Array(randomBytes(length));
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  await using repository = await openRepository(store, { passphrase, threads: 0 });

  const sparse = Buffer.alloc(8 * MB);
  sparse.write("in the middle", 3 * MB + 5);
  sparse.write("end", sparse.length - 3);
  const linked = Buffer.from("linked");
  const file = (name: string, body: Buffer, more: Partial<TreeEntry>) =>
    ({
      entry: { type: "file", path: name, mode: 0o640, mtimeMs: 1e12, size: body.length, hint: "content", ...more },
      body,
    }) as { entry: TreeEntry; body: Buffer };
  const items = [
    file("a", linked, { link: "a" }),
    file("b/c", linked, { link: "a" }),
    file("other", linked, { link: "nowhere" }),
    file("sparse", sparse, { sparse: true }),
    file("zeros", Buffer.alloc(MB), {}),
    // A first that comes once more is no link of itself.
    file("twice", linked, { link: "twice" }),
    file("twice", linked, { link: "twice" }),
  ];
  const writer = createTarWriter();
  const write = async () => {
    for (const { entry, body } of items)
      await writer.add(
        entry,
        (async function* () {
          yield body;
        })(),
      );
    writer.end();
  };
  write().catch((error: unknown) => writer.fail(error));
  const backupId = "01900000-0000-7000-8000-000000000001_files_1_base1";
  const runId = "01900000-0000-7000-8000-000000000001";
  const head = { backupId, plan: "shop", source: "files", kind: "files", type: "full", runId } as const;
  await repository.writeBackup({ ...head, startedAt: new Date().toISOString() }, writer.stream);

  const keyFile = join(path, "key");
  await writeFile(keyFile, PASSPHRASE, { mode: 0o600 });
  const to = join(path, "to");
  const restore = await prepareRestore();
  const ran = await restore("restore", join(path, "repository"), backupId, "--to", to, "--key-file", keyFile);
  expect(ran).toMatchObject({ code: 0 });
  const found = (name: string) => stat(join(to, "files", name));
  expect((await found("b/c")).ino).toBe((await found("a")).ino);
  expect((await found("other")).nlink).toBe(1);
  expect((await found("twice")).nlink).toBe(1);
  expect((await found("sparse")).blocks * 512).toBeLessThan(MB);
  expect((await found("zeros")).blocks * 512).toBe(MB);
  for (const { entry, body } of items)
    expect((await readFile(join(to, "files", entry.path))).equals(body), entry.path).toBe(true);
}, 300_000);
