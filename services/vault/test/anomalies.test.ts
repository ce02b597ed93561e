import { createCipheriv, randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import type { Bus } from "@stillpoint/bus/bus";
import { captureAnomaly, captureUsual } from "@stillpoint/contracts/events";
import { vaultSeal } from "@stillpoint/contracts/vault";
import { inProcessService } from "@stillpoint/testkit/in-process-service";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";
import { installation } from "./installation.ts";
import { trialPoint } from "./trial-point.ts";

const FILES = 40;
const FILE_BYTES = 100_000;

/** Text, which differs from file to file. */
async function writeTree(root: string): Promise<void> {
  await mkdir(root);
  for (let i = 0; i < FILES; i++) {
    const lines = Array.from({ length: FILE_BYTES / 50 }, (_, line) =>
      `${i} ${line} ${(i * line) % 997} stock`.padEnd(49),
    );
    await writeFile(join(root, `${i}.txt`), lines.join("\n"));
  }
}

/** What ransomware does: every file in its place, under its name, of its length. */
async function encryptTree(root: string): Promise<void> {
  const key = randomBytes(32);
  for (const name of await readdir(root)) {
    const cipher = createCipheriv("aes-256-ctr", key, randomBytes(16));
    await writeFile(join(root, name), cipher.update(await readFile(join(root, name))));
  }
}

async function tree() {
  const own = await installation("anomalies");
  const { bus, repository } = own;
  const root = join(own.directory, "tree");
  await writeTree(root);
  let day = 0;
  /** Backs the tree up as it is now and seals a point on it. */
  const takePoint = async () => {
    day += 1;
    const backupId = `day-${day}`;
    const startedAt = `2026-01-${String(day).padStart(2, "0")}T12:00:00.000Z`;
    const head = { backupId, plan: "shop", source: "files", kind: "files" as const, type: "full" as const };
    const items = async function* () {
      for (const name of (await readdir(root)).sort()) {
        const metadata = { path: name, mode: 0o600, mtimeMs: 0, size: (await readFile(join(root, name))).length };
        yield { entry: { type: "file" as const, hint: "content" as const, ...metadata }, file: join(root, name) };
      }
    };
    const figures = await repository.writeFiles({ ...head, runId: randomUUID(), startedAt }, items());
    const { sealedAt: _, ...point } = trialPoint("shop", startedAt, backupId);
    const sources = point.sources.map((each) => ({
      ...each,
      bytes: figures.bytes,
      storedBytes: figures.storedBytes,
    }));
    const sealed = await bus.request(vaultSeal, {}, { point: { ...point, sources } }, { timeoutMs: 20_000 });
    return sealed.point;
  };
  return { ...own, root, takePoint };
}

type Told = { anomaly?: string; usual?: string; held?: string | undefined };

/** The next things said of the source, in order. */
async function nextTold(bus: Bus, after: number, count: number): Promise<Told[]> {
  const told: Told[] = [];
  const signal = AbortSignal.timeout(60_000);
  for await (const fact of bus.followEvents([captureAnomaly, captureUsual], { after, signal })) {
    if (fact.type === "current") continue;
    if ("findings" in fact.body) {
      const { pointId, held, findings } = fact.body;
      told.push({ anomaly: `${pointId} ${findings.map(({ what }) => what).join(", ")}`, held: held?.pointId });
    } else told.push({ usual: `${fact.body.pointId} ${fact.body.why}` });
    if (told.length === count) break;
  }
  return told;
}

test("a file tree that is encrypted in place is told of, and the last good point held until somebody releases it", async () => {
  await using setup = await tree();
  const { bus, repository, root, takePoint } = setup;
  await using vault = await inProcessService(service, setup.nats, setup.settings);
  const after = await bus.lastEventSequence();
  const good = [];
  for (let i = 0; i < 4; i++) good.push(await takePoint());
  await encryptTree(root);
  const bad = await takePoint();
  const last = good.at(-1)?.pointId ?? "";
  expect(await nextTold(bus, after, 1)).toEqual([{ anomaly: `${bad.pointId} share of it that is new`, held: last }]);
  const [hold] = await repository.holdsOn(last);
  expect(hold?.reason).toContain(bad.pointId);
  await expect(repository.deletePoint(last, { by: "a test" })).rejects.toMatchObject({ code: "CONFLICT" });

  // It happens again: one hold is enough, and the point before the first trouble is the one that has it.
  await encryptTree(root);
  const worse = await takePoint();
  expect((await nextTold(bus, after, 2))[1]).toEqual({
    anomaly: `${worse.pointId} share of it that is new`,
    held: last,
  });
  expect(await repository.holdsOn(last)).toHaveLength(1);
  expect(await repository.holdsOn(bad.pointId)).toEqual([]);

  // Somebody looked at it and says that this is how it is to be from now on.
  await repository.releaseHold(last, hold?.holdId ?? "", { by: "a test" });
  const accepted = await takePoint();
  expect((await nextTold(bus, after, 3))[2]?.usual).toContain(`${accepted.pointId} the hold was released`);
  expect(vault.lines.filter(({ level }) => level === "error")).toEqual([]);
});

test("a hold that was placed before the watch was cut off is taken for its own", async () => {
  await using setup = await tree();
  const { bus, repository, root, takePoint } = setup;
  const after = await bus.lastEventSequence();
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const good = [];
  for (let i = 0; i < 4; i++) good.push(await takePoint());
  const last = good.at(-1)?.pointId ?? "";
  await repository.placeHold(last, { by: "watch on captures", reason: "of a run that was cut off" });
  await encryptTree(root);
  await takePoint();
  expect((await nextTold(bus, after, 1))[0]).toMatchObject({ held: last });
  expect(await repository.holdsOn(last)).toHaveLength(1);
});

test("a source that is as it was again says so, and a proven point is held rather than a newer one", async () => {
  await using setup = await tree();
  const { bus, repository, root, takePoint } = setup;
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const after = await bus.lastEventSequence();
  const good = [];
  for (let i = 0; i < 4; i++) good.push(await takePoint());
  const proven = good[1]?.pointId ?? "";
  const times = { rtoMs: 1, ms: 1, startedAt: "2026-01-03T00:00:00.000Z", finishedAt: "2026-01-03T00:00:01.000Z" };
  const proof = { proofId: randomUUID(), pointId: proven, plan: "shop", verdict: "pass" as const };
  await repository.sealProof({ ...proof, ...times, reasons: [], checks: [] });
  await writeFile(join(root, "dump"), randomBytes(5_000_000));
  await takePoint();
  expect((await nextTold(bus, after, 1))[0]).toMatchObject({ held: proven });
  await writeFile(join(root, "dump"), "");
  const again = await takePoint();
  expect((await nextTold(bus, after, 2))[1]).toEqual({ usual: `${again.pointId} the source is as it was` });
});

test("a database that rests on its log is told of when what is shipped of it compresses no more", async () => {
  await using setup = await installation("shipped-anomalies");
  const { bus, repository } = setup;
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const after = await bus.lastEventSequence();
  const of = { plan: "shop", source: "orders", kind: "postgres" } as const;
  const MB = 1_000_000;
  const write = async (backupId: string, type: "full" | "log", [from, to]: [number, number], body: Buffer) => {
    const stretch = { stream: "00000001", from: String(from).padStart(16, "0"), to: String(to).padStart(16, "0") };
    const startedAt = "2026-01-01T00:00:00.000Z";
    const entry = { type: "file", path: "f", mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
    const items = [{ entry, body: Readable.from([body]) }];
    const head = { ...of, backupId, type, runId: randomUUID(), log: stretch, startedAt };
    await repository.writeFiles(head, Readable.from(items));
    return stretch;
  };
  await write("base", "full", [0, 1], randomBytes(4 * MB));
  const text = (day: number) =>
    Buffer.from(Array.from({ length: 40_000 }, (_, i) => `${day} ${i} `.padEnd(50)).join(""));
  const pointOn = async (day: number, shipped: Buffer) => {
    const { stream, to } = await write(`log-${day}`, "log", [day - 1, day], shipped);
    const { sealedAt: _, ...point } = trialPoint("shop", `2026-01-0${day}T12:00:00.000Z`, "base");
    const log = { place: { stream, at: to }, at: point.startedAt, target: { by: "name", name: "cut" } } as const;
    const sources = point.sources.map((each) => ({ ...each, ...of, mark: { ...each.mark, log } }));
    return (await bus.request(vaultSeal, {}, { point: { ...point, sources } }, { timeoutMs: 20_000 })).point;
  };
  for (const day of [1, 2, 3, 4]) await pointOn(day, text(day));
  const bad = await pointOn(5, randomBytes(2 * MB));
  expect(await nextTold(bus, after, 1)).toMatchObject([{ anomaly: `${bad.pointId} what is new, compressed to` }]);
  const good = await pointOn(6, text(6));
  expect((await nextTold(bus, after, 2))[1]).toEqual({ usual: `${good.pointId} the source is as it was` });
});
