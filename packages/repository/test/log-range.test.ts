import type { LogRange } from "@stillpoint/contracts/log";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { describe, expect, it } from "vitest";
import { file, head, noise, tarOf, trial, unpack } from "./trial.ts";

const range = { stream: "00000001", from: "0100", to: "0200" };
const later = { stream: "00000002", from: "0180", to: "0300", after: { stream: "00000001", at: "0180" } };
const item = file("segment", noise(1, 100_000));

async function* tarSaying(...said: readonly LogRange[]): AsyncGenerator<Uint8Array> {
  const writer = createTarWriter();
  const write = async () => {
    for (const each of said) await writer.covers(each);
    await writer.add(
      item.entry,
      (async function* () {
        yield item.body;
      })(),
    );
    writer.end();
  };
  write().catch((error: unknown) => writer.fail(error));
  yield* writer.stream;
}

describe("a backup's stretch of the log", () => {
  it("is in its figures, the last that was said, and changes neither its tree nor its checksum", async () => {
    await using setup = await trial();
    const { repository } = setup;
    const without = await repository.writeBackup(head("a", "log"), tarOf([item]));
    const figures = await repository.writeBackup(head("b", "log"), tarSaying(range, later));
    expect(without.log).toBeUndefined();
    expect(figures).toMatchObject({ log: later, checksum: without.checksum, files: 1, bytes: without.bytes });
    expect(await repository.headBackup("b")).toEqual(figures);
    expect((await unpack(repository.readBackup("b"))).map(({ entry }) => entry.path)).toEqual(["segment"]);
  });

  it("may be known beforehand; a tar that says another is no backup then", async () => {
    await using setup = await trial();
    const { repository } = setup;
    const known = (backupId: string) => ({ ...head(backupId, "log"), log: range });
    expect(await repository.writeBackup(known("a"), tarOf([item]))).toMatchObject({ log: range });
    expect(await repository.writeBackup(known("b"), tarSaying(range))).toMatchObject({ log: range });
    const other = repository.writeBackup(known("c"), tarSaying(later));
    await expect(other).rejects.toMatchObject({ code: "TAR_INVALID" });
    expect(await repository.headBackup("c")).toBeUndefined();
  });
});
