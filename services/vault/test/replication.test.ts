import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readdir, readFile, rename, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { maintainRepository } from "@stillpoint/contracts/commands";
import { Secret } from "@stillpoint/contracts/secret";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultTicket } from "@stillpoint/contracts/vault";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";
import { sealTrialPoint } from "./trial-point.ts";

async function installation() {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await ownNats());
  const bus = stack.use(await testBus(nats));
  const { path: directory } = stack.use(await temporaryDirectory("replication"));
  const [primary, near, far] = ["primary", "near", "far"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]; // three
  for (const place of [primary, near, far]) await mkdir(place);
  const targets = join(directory, "targets.yaml");
  await writeFile(
    targets,
    `primary: { url: ${primary} }\nreplicas:\n  near: { url: ${near} }\n  far: { url: ${far} }\n`,
  );
  const keyFile = join(directory, "key");
  await writeFile(keyFile, "correct horse", { mode: 0o600 });
  const passphrase = new Secret("correct horse");
  const store = stack.use(await openObjectStore(primary, { environment: {} }));
  const random = (count: number) => randomBytes(count);
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  const repository = stack.use(await openRepository(store, { passphrase, threads: 0 }));
  const settings = {
    STILLPOINT_TARGETS_FILE: targets,
    STILLPOINT_KEY_FILE: keyFile,
    STILLPOINT_VAULT_PORT: "0",
    STILLPOINT_VAULT_DIRECTORY: join(directory, "vault"),
    STILLPOINT_REPLICATE_EVERY_MS: "200",
    STILLPOINT_REPLICA_LAG_LIMIT_MS: "1000",
  };
  const backUp = async (backupId: string) => {
    const tar = createTarWriter();
    const body = randomBytes(50_000);
    const entry = { type: "file", path: "a", mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
    const bytes = async function* () {
      yield body;
    };
    tar.add(entry, bytes()).then(
      () => tar.end(),
      (error: unknown) => tar.fail(error),
    );
    const head = { plan: "shop", source: "files", kind: "files", type: "full", runId: randomUUID() } as const;
    await repository.writeBackup({ ...head, backupId, startedAt: new Date().toISOString() }, tar.stream);
    await sealTrialPoint(repository, backupId, new Date().toISOString(), backupId);
  };
  return {
    nats,
    bus,
    primary,
    near,
    far,
    repository,
    settings,
    backUp,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function names(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile() && !/\/(\.|leases|condemned)/.test(`${entry.parentPath}/`))
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}
const equal = async (a: string, b: string) => {
  const [left, right] = await Promise.all([names(a), names(b)]);
  return left.length > 3 && JSON.stringify(left) === JSON.stringify(right) ? true : undefined;
};

test("every replica follows what is written, also through a vault's end; one that is away holds none of the others up", async () => {
  await using all = await installation();
  const { primary, near, far } = all;
  await all.backUp("one");
  {
    await using vault = await inProcessService(service, all.nats, all.settings);
    await waitFor("both replicas have all", async () => (await equal(primary, near)) && (await equal(primary, far)));
    await rename(near, `${near}-away`);
    await all.backUp("two");
    await waitFor("the other one follows", () => equal(primary, far));
    await waitFor("the failure counts", async () =>
      /stillpoint_replica_failures_total\{target="near"\} [1-9]/.test(await vault.metrics()) ? true : undefined,
    );
  }
  await all.backUp("three");
  await rename(`${near}-away`, near);
  await using vault = await inProcessService(service, all.nats, all.settings);
  await waitFor(
    "both replicas have all again",
    async () => (await equal(primary, near)) && (await equal(primary, far)),
  );
  await waitFor("the lag is told", async () =>
    /stillpoint_replica_lag_seconds\{target="near"\} 0\n/.test(await vault.metrics()) ? true : undefined,
  );
});

test("what a reader finds damaged on the primary is served by a replica, and repaired from it", async () => {
  await using all = await installation();
  const { primary, near } = all;
  await all.backUp("one");
  const pack = (await names(primary)).find((name) => name.startsWith("packs/")) ?? "";
  const sound = await readFile(join(primary, pack));
  await using vault = await inProcessService(service, all.nats, all.settings);
  await waitFor("the replica has all", () => equal(primary, near));
  const damaged = Buffer.from(sound);
  damaged[100] = (damaged[100] ?? 0) ^ 1;
  await writeFile(join(primary, pack), damaged);
  const claims = { purpose: "restore" as const, pointId: randomUUID(), backups: ["one"] };
  const { vaultUrl, ticket } = await all.bus.request(vaultTicket, {}, claims, { timeoutMs: 30_000 });
  let bytes = 0;
  for await (const piece of vaultClient(vaultUrl, ticket, new AbortController().signal).getBackup("one"))
    bytes += piece.length;
  expect(bytes).toBeGreaterThan(50_000);
  await waitFor("the primary's copy is whole again", async () =>
    (await readFile(join(primary, pack))).equals(sound) ? true : undefined,
  );
  const kept = (await names(primary)).find((name) => name.startsWith("quarantine/") && name.endsWith(pack)) ?? "";
  expect((await readFile(join(primary, kept))).equals(damaged)).toBe(true);
  await waitFor("the repair counts", async () =>
    /stillpoint_replica_repaired_objects_total\{target="primary"\} 1/.test(await vault.metrics()) ? true : undefined,
  );
});

test("a replica that is behind for longer than it may be is a problem that people are told of", async () => {
  await using all = await installation();
  await all.backUp("one");
  await rename(all.far, `${all.far}-away`);
  await using _vault = await inProcessService(service, all.nats, all.settings);
  // The other one may be behind, too, until the vault has come to it.
  await waitFor("it alone is behind", async () => {
    const { problems } = await maintain(all.bus, "replicas");
    return problems.length === 1 && problems[0]?.where === "far";
  });
  await mkdir(all.far);
  await waitFor(
    "all caught up",
    async () => (await equal(all.primary, all.far)) && (await equal(all.primary, all.near)),
  );
  expect(await maintain(all.bus, "replicas")).toMatchObject({ outcome: "sound", figures: { lagObjects: 0 } });
  expect((await maintain(all.bus, "lock")).outcome).toBe("sound");
  expect((await maintain(all.bus, "tier")).outcome).toBe("sound");
});

test("after a promotion the vault refuses to write until it is started again, and then writes to the new primary", async () => {
  await using all = await installation();
  await all.backUp("one");
  {
    await using _vault = await inProcessService(service, all.nats, all.settings);
    await waitFor(
      "both replicas have all",
      async () => (await equal(all.primary, all.near)) && (await equal(all.primary, all.far)),
    );
    await using near = await openObjectStore(all.near, { environment: {} });
    await all.repository.replicas.promote(near, { name: "near", by: "tests" });
    const report = await maintain(all.bus, "replicas");
    expect(report.problems).toMatchObject([{ where: "near", why: expect.stringMatching(/still writes to primary/) }]);
  }
  await using vault = await inProcessService(service, all.nats, all.settings);
  expect(vault.lines.some(({ message }) => message === "the primary is the target that was promoted")).toBe(true);
  await waitFor("nothing is wrong any more", async () => (await maintain(all.bus, "replicas")).problems.length === 0);
  await waitFor("the old primary is a replica", () => equal(all.primary, all.near));
});

async function maintain(bus: Awaited<ReturnType<typeof testBus>>, task: "replicas" | "lock" | "tier") {
  const taskId = randomUUID();
  await bus.publishCommand(
    maintainRepository,
    { task },
    { taskId, task, requestedBy: "person" },
    { messageId: taskId },
  );
  const last = await bus.bucket(BUCKETS.maintenance);
  return waitFor(`${task} is done`, async () => {
    const found = (await last.get(task))?.value;
    return found?.taskId === taskId ? found : undefined;
  });
}
