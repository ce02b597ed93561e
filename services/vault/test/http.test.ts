import { randomBytes } from "node:crypto";
import { text } from "node:stream/consumers";
import { StillpointError } from "@stillpoint/contracts/errors";
import { listTar } from "@stillpoint/driver/extract";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { describe, expect, it } from "vitest";
import { startTrialVault } from "./trial-vault.ts";

const runId = "01900000-0000-7000-8000-000000000001";
const capture = { purpose: "capture", runId, plan: "shop", source: "uploads", kind: "files", fenceToken: 3 } as const;
const backupId = `${runId}_uploads_3_base1`;

function treeOf(bodies: Record<string, Buffer>): AsyncIterable<Uint8Array> {
  const tar = createTarWriter();
  const write = async () => {
    for (const [path, body] of Object.entries(bodies)) {
      await tar.add(
        { type: "file", path, mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" },
        (async function* () {
          yield body;
        })(),
      );
    }
    tar.end();
  };
  write().catch((error: unknown) => tar.fail(error));
  return tar.stream;
}

const failure = (code: string) => expect.objectContaining({ code });

describe("the vault's HTTP side", () => {
  it("takes a tar, tells its figures, and gives the same tree back", async () => {
    await using vault = await startTrialVault();
    const body = randomBytes(3_000_000);
    const client = vault.client(capture);
    const figures = await client.putBackup(backupId, "full", treeOf({ "a/b": body, c: Buffer.from("c") }));
    expect(figures).toMatchObject({
      backupId,
      plan: "shop",
      source: "uploads",
      kind: "files",
      type: "full",
      files: 2,
      bytes: 3_000_001,
    });
    expect(await client.headBackup(backupId)).toEqual(figures);
    const restore = vault.client({ purpose: "restore", pointId: runId, backups: [backupId] });
    const seen: string[] = [];
    const listed = await listTar(restore.getBackup(backupId), (entry) => seen.push(entry.path));
    expect(listed.bytes).toBe(3_000_001);
    expect(seen).toEqual(["a/b", "c"]);
  });

  it("says that a backup is not there, and refuses one that the ticket does not name", async () => {
    await using vault = await startTrialVault();
    expect(await vault.client(capture).headBackup(backupId)).toBeUndefined();
    const other = `${runId}_uploads_4_base1`;
    await expect(vault.client(capture).putBackup(other, "full", treeOf({ a: Buffer.from("a") }))).rejects.toEqual(
      failure("TICKET_INVALID"),
    );
    expect(await vault.repository.headBackup(other)).toBeUndefined();
  });

  it("says that the disk is full, and shows nothing as stored", async () => {
    await using vault = await startTrialVault();
    vault.faulty.add("put", { fault: "outOfSpace" });
    await expect(
      vault.client(capture).putBackup(backupId, "full", treeOf({ a: randomBytes(200_000) })),
    ).rejects.toEqual(failure("DISK_FULL"));
    vault.faulty.assertAllMet();
    expect(await vault.client(capture).headBackup(backupId)).toBeUndefined();
    // Space came back: the same bytes are taken.
    expect(await vault.client(capture).putBackup(backupId, "full", treeOf({ a: Buffer.from("a") }))).toMatchObject({
      files: 1,
    });
  });

  it("ends a read at a flipped byte with the damaged object's name, never as if it were whole", async () => {
    await using vault = await startTrialVault();
    await vault.client(capture).putBackup(backupId, "full", treeOf({ a: randomBytes(3_000_000) }));
    const packs = await Array.fromAsync(vault.memory.list("packs/"));
    const restore = vault.client({ purpose: "restore", pointId: runId, backups: [backupId] });
    for (const pack of packs) {
      const bytes = (await vault.memory.get(pack.name)).slice();
      bytes[Math.floor(bytes.length / 2)] = (bytes[Math.floor(bytes.length / 2)] ?? 0) ^ 1;
      await vault.memory.delete(pack.name);
      await vault.memory.put(pack.name, bytes);
    }
    const read = Array.fromAsync(restore.getBackup(backupId));
    await expect(read).rejects.toEqual(failure("OBJECT_DAMAGED"));
    await expect(read).rejects.toEqual(expect.objectContaining({ where: expect.stringMatching(/^packs\//) }));
  });

  it("forgets a tar whose sender went away", async () => {
    await using vault = await startTrialVault();
    const broken = (async function* () {
      yield randomBytes(100_000);
      throw new StillpointError("SOURCE_LOST", { what: "The source went away" });
    })();
    await expect(vault.client(capture).putBackup(backupId, "full", broken)).rejects.toEqual(failure("SOURCE_LOST"));
    expect(await vault.client(capture).headBackup(backupId)).toBeUndefined();
  });

  it("keeps results for those who prove, and for nobody else", async () => {
    await using vault = await startTrialVault();
    const rehearse = vault.client({ purpose: "rehearse", proofId: runId, source: "uploads", backups: [backupId] });
    const rows = (async function* () {
      yield Buffer.from('{"max":1}\n');
    })();
    await rehearse.putResult(runId, "uploads", "rule0-0", rows);
    const prove = vault.client({ purpose: "results", proofId: runId });
    expect(await text(prove.getResult(runId, "uploads", "rule0-0"))).toBe('{"max":1}\n');
    await expect(Array.fromAsync(rehearse.getResult(runId, "uploads", "rule0-0"))).rejects.toEqual(
      failure("TICKET_INVALID"),
    );
    await expect(Array.fromAsync(prove.getResult(runId, "uploads", "other"))).rejects.toEqual(failure("NOT_FOUND"));
  });
});
