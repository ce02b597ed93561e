import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { withFaults } from "@stillpoint/object-store/faults";
import { memoryStore } from "@stillpoint/object-store/memory";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it, vi } from "vitest";
import { DEFAULT_CHUNKING } from "../src/format/documents.ts";
import {
  digests,
  file,
  head,
  type Item,
  makeRepository,
  NOW,
  namesIn,
  noise,
  open,
  tarOf,
  trial,
  unpack,
} from "./trial.ts";

const MB = 1_000_000;

describe("an object store that takes nothing", () => {
  it("holds back the reading of the tar, whatever its length", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await using setup = await trial({ ...DEFAULT_CHUNKING, packTarget: 1_048_576 }, faulty.store);
    const { promise: opened, resolve: openStore } = Promise.withResolvers<void>();
    // The first put is the writer's lease; without it nothing begins.
    faulty.add(
      "put",
      { fault: "none" },
      ...Array.from({ length: 12 }, () => ({ fault: "slow" as const, until: opened })),
    );
    let pulled = 0;
    const items: Item[] = Array.from({ length: 90 }, (_, i) => file(`f${i}`, noise(i, MB)));
    const watched = async function* () {
      for await (const piece of tarOf(items)) {
        pulled += piece.length;
        yield piece;
      }
    };
    const writing = setup.repository.writeBackup(head("one"), watched());
    let last = -1;
    let still = 0;
    await vi.waitFor(
      () => {
        still = pulled > 2 * MB && pulled === last ? still + 1 : 0;
        last = pulled;
        expect(still).toBeGreaterThan(25);
      },
      { timeout: 60_000, interval: 20 },
    );
    expect(pulled).toBeLessThan(60 * MB);
    openStore();
    const figures = await writing;
    expect(figures.bytes).toBe(90 * MB);
    faulty.assertAllMet();
  });
});

describe("tars that stand still", () => {
  it("do not keep a full store from ending their backup, nor a signal", async () => {
    const faulty = withFaults(memoryStore(() => NOW));
    await using setup = await trial({ ...DEFAULT_CHUNKING, packTarget: 1_048_576 }, faulty.store);
    const stalling = async function* (stalled: () => void) {
      for await (const piece of tarOf([file("f", noise(1, 20 * MB)), file("g", noise(2, 20 * MB))])) yield piece;
      stalled();
      await new Promise(() => undefined);
    };
    faulty.add("put", { fault: "outOfSpace" });
    await expect(
      setup.repository.writeBackup(
        head("full"),
        stalling(() => undefined),
      ),
    ).rejects.toMatchObject({
      code: "DISK_FULL",
    });
    faulty.assertAllMet();
    const controller = new AbortController();
    const source = stalling(() => controller.abort(new Error("cancelled")));
    await expect(
      setup.repository.writeBackup(head("cancelled"), source, { signal: controller.signal }),
    ).rejects.toThrow("cancelled");
    expect(await Array.fromAsync(setup.repository.backups())).toEqual([]);
  });

  it("hold up no other backup, however many they are", async () => {
    await using setup = await trial();
    const { promise: goOn, resolve: letGo } = Promise.withResolvers<void>();
    const body = noise(1, 2 * MB);
    const stalling = async function* () {
      let given = 0;
      for await (const piece of tarOf([file("f", body)])) {
        if (given > MB) await goOn;
        given += piece.length;
        yield piece;
      }
    };
    const stalled = Array.from({ length: 12 }, (_, i) =>
      setup.repository.writeBackup(head(`stalled-${i}`), stalling()),
    );
    const quick = await setup.repository.writeBackup(head("quick"), tarOf([file("big", noise(2, 20 * MB))]));
    expect(quick.bytes).toBe(20 * MB);
    letGo();
    await Promise.all(stalled);
    for (const { backupId } of await Array.fromAsync(setup.repository.backups()))
      if (backupId !== "quick")
        expect(digests(await unpack(setup.repository.readBackup(backupId)))).toEqual(digests([file("f", body)]));
  });
});

describe("a repository on S3", () => {
  it("comes back byte by byte, and a byte flipped behind the server's back is named", async () => {
    const { endpoint, region, bucket, accessKeyId, secretAccessKey, bucketsDirectory } = await ownBucket();
    const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    const url = `s3://${bucket}/a/prefix?endpoint=${encodeURIComponent(endpoint)}&region=${region}`;
    await using store = await openObjectStore(url, { environment });
    await makeRepository(store);
    await using repository = await open(store);
    const items = [file("a", noise(1, 3 * MB)), file("b", noise(2, 2 * MB), "page:8192"), file("c", Buffer.from("c"))];
    await repository.writeBackup(head("one"), tarOf(items));
    expect((await repository.writeBackup(head("two"), tarOf(items))).storedBytes).toBe(0);
    expect(digests(await unpack(repository.readBackup("one")))).toEqual(digests(items));
    expect((await repository.check({ readData: true })).problems).toEqual([]);
    const [pack = ""] = await namesIn(store, "packs/");
    const path = join(bucketsDirectory, bucket, "a/prefix", pack);
    const bytes = await readFile(path);
    bytes[1000] = (bytes[1000] ?? 0) ^ 1;
    await writeFile(path, bytes);
    expect((await repository.check({ readData: true })).problems).toMatchObject([
      { object: pack, backups: ["one", "two"] },
    ]);
  });
});
