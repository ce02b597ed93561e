import { randomBytes } from "node:crypto";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { type LogRange, shippedBackupId } from "@stillpoint/contracts/log";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { type TicketClaims, vaultLog, vaultTicket } from "@stillpoint/contracts/vault";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { Repository } from "@stillpoint/repository/repository";
import { inProcessService, type testBus } from "@stillpoint/testkit/in-process-service";
import { afterAll, beforeAll, expect, test } from "vitest";
import { service } from "../src/service.ts";
import { installation } from "./installation.ts";

const all = new AsyncDisposableStack();
afterAll(() => all.disposeAsync());

const signal = new AbortController().signal;
const place = (at: number) => String(at).padStart(8, "0");
const range = (from: number, to: number): LogRange => ({ stream: "00000001", from: place(from), to: place(to) });
const failure = (code: string) => expect.objectContaining({ code });
const of = (source: string) => ({ plan: "shop", source });

let bus: Awaited<ReturnType<typeof testBus>>;
let repository: Repository;

beforeAll(async () => {
  const own = all.use(await installation("take-log"));
  ({ bus, repository } = own);
  all.use(await inProcessService(service, own.nats, own.settings));
});

/** Takes a lease from whoever has it; gives its fence token. */
async function take(key: string): Promise<number> {
  const leases = await bus.bucket(BUCKETS.leases);
  return await leases.put(key, { owner: "a-test", since: new Date().toISOString() });
}

/** One who ships the log of a source from now on. */
async function shipper(source: string) {
  const fenceToken = await take(`ship.shop.${source}`);
  const claims = { purpose: "ship", ...of(source), kind: "postgres", fenceToken } as const;
  return { by: { ...of(source), fenceToken }, claims, client: await clientOf(claims) };
}

async function clientOf(claims: TicketClaims) {
  const { vaultUrl, ticket } = await bus.request(vaultTicket, {}, claims, { timeoutMs: 30_000 });
  return vaultClient(vaultUrl, ticket, signal);
}

function tarOf(bytes: Buffer, fill: (tree: TreeWriter) => Promise<unknown> = async () => undefined) {
  const tar = createTarWriter();
  const write = async () => {
    await fill(tar);
    const entry = {
      type: "file",
      path: "segment",
      mode: 0o600,
      mtimeMs: 0,
      size: bytes.length,
      hint: "content",
    } as const;
    await tar.add(
      entry,
      (async function* () {
        yield bytes;
      })(),
    );
    tar.end();
  };
  const written = write().catch((error: unknown) => {
    tar.fail(error);
    throw error;
  });
  written.catch(() => undefined);
  return { tar: tar.stream, written };
}

const told = (source: string) => bus.request(vaultLog, {}, of(source), { timeoutMs: 30_000 });

test("a log that is shipped is told as held, is restorable from its base on, and goes on from there with the next shipper", async () => {
  expect(await told("orders")).toEqual({ ...of("orders"), windows: [], holes: [], baseServes: false, damaged: [] });
  const first = await shipper("orders");
  await first.client.putTail(first.by, range(0, 100), randomBytes(100));
  await first.client.putTail(first.by, range(100, 180), randomBytes(80));
  expect(await told("orders")).toMatchObject({ held: { stream: "00000001", at: place(180) }, baseServes: false });

  const base = { backupId: "base", ...of("orders"), kind: "postgres", type: "full" } as const;
  const runId = "01900000-0000-7000-8000-000000000001";
  const startedAt = new Date().toISOString();
  await repository.writeBackup({ ...base, runId, startedAt, log: range(20, 40) }, tarOf(randomBytes(10)).tar);
  expect(await told("orders")).toMatchObject({ baseServes: true, replay: { base: "base" } });

  const next = await shipper("orders");
  expect(next.by.fenceToken).toBeGreaterThan(first.by.fenceToken);
  await expect(clientOf(first.claims)).rejects.toEqual(failure("LEASE_LOST"));
  // Its ticket lives on for a while: what it still writes is its own, and harms nobody.
  await first.client.putTail(first.by, range(180, 190), randomBytes(10));
  const figures = await next.client.putLog(next.by, range(0, 160), tarOf(randomBytes(160)).tar);
  expect(figures).toMatchObject({ ...of("orders"), type: "log", log: range(0, 160), files: 1 });
  await next.client.putTail(next.by, range(160, 200), randomBytes(40));
  const log = await told("orders");
  expect(log).toMatchObject({ held: { at: place(200) }, baseServes: true, holes: [] });
  expect(log.windows).toMatchObject([
    { from: { at: place(40) }, to: { at: place(200) }, base: "base", bases: ["base"] },
  ]);

  // Who waits is told as soon as it is there, and not what the newest place would be restored from.
  const reach = { base: "base", place: { stream: "00000001", at: place(230) } };
  const waits = () => bus.request(vaultLog, {}, { ...of("orders"), reach, waits: true }, { timeoutMs: 30_000 });
  expect(await waits()).toMatchObject({ held: { at: place(200) } });
  await next.client.putTail(next.by, range(200, 230), randomBytes(30));
  const reached = await waits();
  expect(reached).toMatchObject({ held: { at: place(230) }, baseServes: true, reaches: {} });
  expect(reached.replay).toBeUndefined();
});

test("what is given twice is one, also when the first answer was lost", async () => {
  const { by, client } = await shipper("twice");
  const bytes = randomBytes(3_000_000);
  await client.putTail(by, range(0, 50), bytes);
  await client.putTail(by, range(0, 50), bytes);
  await expect(client.putTail(by, range(0, 50), randomBytes(50))).rejects.toEqual(failure("CONFLICT"));
  const first = await client.putLog(by, range(0, 50), tarOf(bytes).tar);
  const again = tarOf(bytes);
  expect(await client.putLog(by, range(0, 50), again.tar)).toEqual(first);
  await again.written; // who writes the tar is not left waiting for a reader
  expect(await client.headBackup(shippedBackupId(by, range(0, 50)))).toEqual(first);
  const gap = { after: { stream: "00000001", at: place(50) }, why: "the slot was lost" };
  const sealed = await client.putGap(by, gap);
  expect(sealed).toMatchObject({ ...of("twice"), kind: "postgres", ...gap });
  expect(await client.putGap(by, { ...gap, why: "told again" })).toEqual(sealed);
  const log = await told("twice");
  expect(log.holes).toEqual([{ after: gap.after, why: gap.why, at: sealed.at }]);
  expect(log.held).toBeUndefined();
});

test("a shipper's ticket adds to the log of its own source, under its own token, and to nothing else", async () => {
  const { by, client } = await shipper("mine");
  const other = { ...by, source: "orders" };
  const later = { ...by, fenceToken: by.fenceToken + 1 };
  for (const stranger of [other, later]) {
    await expect(client.putTail(stranger, range(0, 9), randomBytes(9))).rejects.toEqual(failure("TICKET_INVALID"));
    const { tar } = tarOf(randomBytes(9));
    await expect(client.putLog(stranger, range(0, 9), tar)).rejects.toEqual(failure("TICKET_INVALID"));
  }
  await expect(client.putGap(other, { why: "?" })).rejects.toEqual(failure("TICKET_INVALID"));
  const id = shippedBackupId(by, range(0, 9));
  await expect(client.putBackup(id, "full", tarOf(randomBytes(9)).tar)).rejects.toThrow();
  await expect(client.headBackup("base")).rejects.toEqual(failure("TICKET_INVALID"));
  await client.putLog(by, range(0, 9), tarOf(randomBytes(9)).tar);
  const read = Array.fromAsync(client.getBackup(id));
  await expect(read).rejects.toEqual(failure("TICKET_INVALID"));
  // Nor does another's ticket add to a log.
  const fenceToken = await take("capture.shop.mine");
  const runId = "01900000-0000-7000-8000-000000000002";
  const capture = await clientOf({ purpose: "capture", runId, ...of("mine"), kind: "postgres", fenceToken });
  await expect(capture.putTail(by, range(9, 10), randomBytes(1))).rejects.toEqual(failure("TICKET_INVALID"));
  await expect(capture.putGap(by, { why: "?" })).rejects.toEqual(failure("TICKET_INVALID"));
  expect((await told("mine")).held).toMatchObject({ at: place(9) });
});

test("a tail that is too long, and a tar that holds another stretch than it says, leave nothing", async () => {
  const { by, client } = await shipper("bounded");
  const long = client.putTail(by, range(0, 9), Buffer.alloc(16_777_217));
  await expect(long).rejects.toEqual(failure("INVALID_REQUEST"));
  const { tar } = tarOf(randomBytes(9), (tree) => tree.covers(range(0, 8)));
  await expect(client.putLog(by, range(0, 9), tar)).rejects.toEqual(failure("TAR_INVALID"));
  const cut = tarOf(randomBytes(9), () => Promise.reject(new Error("the source went away")));
  await expect(client.putLog(by, range(0, 9), cut.tar)).rejects.toThrow("the source went away");
  expect(await told("bounded")).toMatchObject({ windows: [], damaged: [] });
  expect((await told("bounded")).held).toBeUndefined();
});
