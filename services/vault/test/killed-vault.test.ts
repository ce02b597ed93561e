import { randomBytes, randomUUID } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { buffer } from "node:stream/consumers";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { Secret } from "@stillpoint/contracts/secret";
import { vaultSeal, vaultStatus } from "@stillpoint/contracts/vault";
import { readTar } from "@stillpoint/driver/tar-reader";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { ownBucket } from "@stillpoint/testkit/s3";
import { startService } from "@stillpoint/testkit/service-process";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { mintTicket } from "../src/tickets.ts";
import { trialPoint } from "./trial-point.ts";
import { watchWrites } from "./writes-watched.ts";

/** More writes than a backup and its seal make. */
const MOST_WRITES = 30;
const ANSWERED_WITHIN_MS = 20_000;

/** A vault in a process of its own on a bucket of its own, which dies right after its k-th write when it is told to. */
async function installation() {
  await using opening = new AsyncDisposableStack();
  const nats = opening.use(await ownNats());
  const bus = opening.use(await testBus(nats));
  const { path: directory } = opening.use(await temporaryDirectory("killed-vault"));
  const { endpoint, region, bucket, accessKeyId, secretAccessKey } = await ownBucket();
  const environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
  const urlBy = (address: string) => `s3://${bucket}?endpoint=${address}&region=${region}`;
  const store = opening.use(await openObjectStore(urlBy(endpoint), { environment }));
  const passphrase = new Secret("correct horse");
  const keyFile = join(directory, "key");
  await writeFile(keyFile, "correct horse", { mode: 0o600 });
  const scryptCost = { n: 1024, r: 8, p: 1 };
  await initRepository(store, { passphrase, random: (length) => randomBytes(length), now: Date.now, scryptCost });
  const watched = opening.use(await watchWrites(endpoint));
  const vault = opening.use(
    await startService("vault", {
      ...environment,
      STILLPOINT_NATS_URL: nats.url,
      STILLPOINT_REPOSITORY: urlBy(watched.endpoint),
      STILLPOINT_KEY_FILE: keyFile,
      STILLPOINT_VAULT_PORT: "0",
      STILLPOINT_VAULT_DIRECTORY: join(directory, "vault"),
    }),
  );
  const open = () => openRepository(store, { passphrase, threads: 0 });
  await using repository = await open();
  const ticketKey = repository.deriveKey("ticket");
  const all = opening.move();
  return { bus, watched, vault, open, ticketKey, [Symbol.asyncDispose]: () => all.disposeAsync() };
}
type Installation = Awaited<ReturnType<typeof installation>>;

function attempt(k: number) {
  const runId = randomUUID();
  const claims = { purpose: "capture", runId, plan: "shop", source: "files", kind: "files", fenceToken: k } as const;
  const backupId = `${runId}_files_${k}_base1`;
  const { sealedAt: _, ...point } = trialPoint("killed", new Date().toISOString(), backupId);
  return { claims, backupId, point, body: randomBytes(100_000) };
}
type Attempt = ReturnType<typeof attempt>;

function tarOf(body: Uint8Array): AsyncIterable<Uint8Array> {
  const tar = createTarWriter();
  const bytes = async function* () {
    yield body;
  };
  const entry = { type: "file", path: "a", mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
  tar.add(entry, bytes()).then(
    () => tar.end(),
    (error: unknown) => tar.fail(error),
  );
  return tar.stream;
}

/** As an agent and an orchestrator do it, once more where it was done before. */
async function backUpAndSeal({ bus, ticketKey }: Installation, { claims, backupId, point, body }: Attempt) {
  const timeoutMs = ANSWERED_WITHIN_MS;
  const { vaultUrl } = await bus.request(vaultStatus, {}, {}, { timeoutMs });
  const ticket = mintTicket(ticketKey, claims, Date.now() + timeoutMs);
  const client = vaultClient(vaultUrl, ticket, AbortSignal.timeout(timeoutMs));
  await client.putBackup(backupId, "full", tarOf(body)).catch(async (error: unknown) => {
    if ((await client.headBackup(backupId)) === undefined) throw error;
  });
  await bus.request(vaultSeal, {}, { point }, { timeoutMs });
}

// It starts a process for each write: on a machine that has other work too that takes its time.
const PATIENT = { timeout: 300_000 };

test(
  "a vault killed right after any of its writes leaves what checks clean, and the next one does the work again",
  PATIENT,
  async () => {
    await using all = await installation();
    const { vault, watched, open } = all;
    let owed: Attempt | undefined;
    let kills = 0;
    for (let k = 1; k <= MOST_WRITES; k++) {
      if (owed !== undefined) {
        const { point, backupId, body } = owed;
        await vault.restart();
        await backUpAndSeal(all, owed);
        await using repository = await open();
        expect(await repository.point(point.pointId)).toMatchObject({ pointId: point.pointId });
        const restored: Buffer[] = [];
        for await (const item of readTar(repository.readBackup(backupId))) restored.push(await buffer(item.body));
        expect(restored.map((each) => each.equals(body))).toEqual([true]);
      }
      const killed = Promise.withResolvers<"killed">();
      watched.after(k, () => vault.kill().then(() => killed.resolve("killed"), killed.reject));
      owed = attempt(k);
      const done = backUpAndSeal(all, owed).then(() => "done" as const);
      // Who waits for an answer of the one that died is told so in the end; it is no matter here.
      const end = await Promise.race([done.catch(() => killed.promise), killed.promise]);
      if (end === "done") break;
      kills++;
      await using repository = await open();
      expect((await repository.check({ readData: true })).problems).toEqual([]);
    }
    expect(kills).toBeGreaterThan(6);
    expect(kills).toBeLessThan(MOST_WRITES);
  },
);
