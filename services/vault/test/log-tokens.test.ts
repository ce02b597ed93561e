import { randomBytes } from "node:crypto";
import { pushStretch } from "@stillpoint/agent/shipping/push-stretch";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { type LogRange, PUSHED, shippedBackupId } from "@stillpoint/contracts/log";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultLog, vaultLogToken, vaultRevokeLogTokens, vaultTicket } from "@stillpoint/contracts/vault";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";
import type { Repository } from "@stillpoint/repository/repository";
import { inProcessService, type testBus } from "@stillpoint/testkit/in-process-service";
import { afterAll, beforeAll, expect, test } from "vitest";
import { tokenCheck } from "../src/log-tokens.ts";
import { service } from "../src/service.ts";
import { installation } from "./installation.ts";

const all = new AsyncDisposableStack();
afterAll(() => all.disposeAsync());
const signal = new AbortController().signal;
const patience = { timeoutMs: 30_000 };
const range = (from: number, to: number): LogRange => ({
  stream: "00000001",
  from: String(from).padStart(8, "0"),
  to: String(to).padStart(8, "0"),
});
const code = (each: string) => expect.objectContaining({ code: each });

let bus: Awaited<ReturnType<typeof testBus>>;
let repository: Repository;

beforeAll(async () => {
  const own = all.use(await installation("log-tokens"));
  ({ bus, repository } = own);
  all.use(await inProcessService(service, own.nats, own.settings));
});

async function pusher(source: string) {
  const of = { plan: "shop", source };
  const asked = { ...of, kind: "postgres" as const, days: 30 };
  const { vaultUrl, token } = await bus.request(vaultLogToken, {}, asked, patience);
  return { of, vaultUrl, client: vaultClient(vaultUrl, token, signal) };
}

const writing = (bytes: Buffer) => async (tree: TreeWriter) => {
  const entry = { path: "pg_wal/segment", mode: 0o600, mtimeMs: 0, size: bytes.length } as const;
  await tree.add(
    { type: "file", hint: "content", ...entry },
    (async function* () {
      yield bytes;
    })(),
  );
};

test("a stretch that is given again is not sent again, and something else under its name is refused and changes nothing", async () => {
  const { of, client } = await pusher("orders");
  const bytes = randomBytes(2_000_000);
  const stretch = { range: range(0, 100), write: writing(bytes) };
  expect(await pushStretch(client, of, stretch)).toBe("stored");
  expect(await pushStretch(client, of, stretch)).toBe("there");
  const other = { range: range(0, 100), write: writing(randomBytes(2_000_000)) };
  await expect(pushStretch(client, of, other)).rejects.toEqual(code("CONFLICT"));
  expect(await pushStretch(client, of, stretch)).toBe("there");
  // Two at once: one is taken, and both are told so.
  const twice = { range: range(100, 200), write: writing(bytes) };
  const both = await Promise.all([pushStretch(client, of, twice), pushStretch(client, of, twice)]);
  expect(both).toContain("stored");
});

test("a token adds closed stretches to one source's log, and reads, flushes and tells nothing", async () => {
  const { of, client } = await pusher("mine");
  const other = { plan: "shop", source: "orders" };
  const stretch = { range: range(0, 9), write: writing(randomBytes(9)) };
  await expect(pushStretch(client, other, stretch)).rejects.toEqual(code("TICKET_INVALID"));
  await pushStretch(client, of, stretch);
  const by = { ...of, fenceToken: PUSHED };
  const id = shippedBackupId(by, range(0, 9));
  await expect(Array.fromAsync(client.getBackup(id))).rejects.toEqual(code("TICKET_INVALID"));
  await expect(client.putTail(by, range(9, 10), randomBytes(1))).rejects.toEqual(code("TICKET_INVALID"));
  await expect(client.putGap(by, { why: "?" })).rejects.toEqual(code("TICKET_INVALID"));
  const tar = createTarWriter();
  tar.end();
  await expect(client.putBackup(id, "full", tar.stream)).rejects.toThrow();
  const later = { ...of, fenceToken: 3 };
  const empty = createTarWriter();
  empty.end();
  await expect(client.putLog(later, range(0, 9), empty.stream)).rejects.toEqual(code("TICKET_INVALID"));
  const asTicket = bus.request(vaultTicket, {}, { purpose: "push", ...of, kind: "postgres", generation: 1 }, patience);
  await expect(asTicket).rejects.toEqual(code("INVALID_REQUEST"));
});

test("tokens that were minted before a revocation count no more, also with a vault that was not told, and later ones do", async () => {
  const { of, client } = await pusher("revoked");
  const stretch = { range: range(0, 9), write: writing(randomBytes(9)) };
  await pushStretch(client, of, stretch);
  const neighbour = await pusher("neighbour");
  let nowMs = 0;
  const elsewhere = tokenCheck(repository, () => nowMs);
  const claims = { purpose: "push", ...of, kind: "postgres", generation: 1 } as const;
  await elsewhere.assertCounts(claims);
  await bus.request(vaultRevokeLogTokens, {}, { ...of, by: "a test" }, patience);
  await expect(pushStretch(client, of, stretch)).rejects.toEqual(code("TICKET_INVALID"));
  nowMs = 60_000;
  await expect(elsewhere.assertCounts(claims)).rejects.toEqual(code("TICKET_INVALID"));
  expect(await pushStretch((await pusher("revoked")).client, of, stretch)).toBe("there");
  expect(await pushStretch(neighbour.client, neighbour.of, stretch)).toBe("stored");
});

test("a slot's shipper and the server itself may give the same log at once", async () => {
  const { of, client, vaultUrl } = await pusher("both");
  const leases = await bus.bucket(BUCKETS.leases);
  const fenceToken = await leases.put("ship.shop.both", { owner: "a-test", since: new Date().toISOString() });
  const { ticket } = await bus.request(
    vaultTicket,
    {},
    { purpose: "ship", ...of, kind: "postgres", fenceToken },
    patience,
  );
  const shipper = vaultClient(vaultUrl, ticket, signal);
  const bytes = randomBytes(100);
  const closed = { range: range(0, 100), write: writing(bytes) };
  const tar = createTarWriter();
  const written = writing(bytes)(tar).then(() => tar.end());
  await Promise.all([
    pushStretch(client, of, closed),
    shipper.putLog({ ...of, fenceToken }, range(0, 100), tar.stream),
    written,
  ]);
  await shipper.putTail({ ...of, fenceToken }, range(100, 140), randomBytes(40));
  await pushStretch(client, of, { range: range(100, 200), write: writing(bytes) });
  const log = await bus.request(vaultLog, {}, of, patience);
  expect(log).toMatchObject({ held: { at: range(0, 200).to }, holes: [], damaged: [] });
});
