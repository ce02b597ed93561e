import { randomBytes, randomUUID } from "node:crypto";
import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { maintainRepository } from "@stillpoint/contracts/commands";
import { keyDue, keyRotated, maintenanceFinished } from "@stillpoint/contracts/events";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { addSlot } from "@stillpoint/repository/keys/add-slot";
import { ageIdentity, ageRecipient, newIdentity } from "@stillpoint/repository/keys/age";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openKeys } from "@stillpoint/repository/keys/key-context";
import { openKeyRing } from "@stillpoint/repository/keys/key-ring";
import { beginEpoch, planEpoch } from "@stillpoint/repository/keys/new-epoch";
import { openerFromFile } from "@stillpoint/repository/keys/opener-file";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { startKmsStandIn } from "@stillpoint/testkit/kms-stand-in";
import { ownNats } from "@stillpoint/testkit/nats";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { startTransitStandIn } from "@stillpoint/testkit/transit-stand-in";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { identityToRecipient } from "age-encryption";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";

const DAY_MS = 86_400_000;
const random = (count: number) => randomBytes(count);
const LONG_AGO = Date.now() - 91 * DAY_MS;
const work = { random, now: () => LONG_AGO, by: "alice" };

/** A repository that was made 91 days ago, opened by the age identity in a key file, and by another in nobody's file. */
async function installation() {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await ownNats());
  const bus = stack.use(await testBus(nats));
  const directory = stack.use(await temporaryDirectory("vault-keys"));
  const path = join(directory.path, "repository");
  await mkdir(path);
  const keyFile = join(directory.path, "key");
  await writeFile(keyFile, (await newIdentity()).reveal(), { mode: 0o600 });
  const store = stack.use(await openObjectStore(path, { environment: {} }));
  const other = await ageIdentity(await newIdentity());
  await initRepository(store, {
    opener: await openerFromFile(keyFile),
    further: [{ sealer: other, type: "opener" }],
    random,
    now: () => LONG_AGO,
  });
  const settings = {
    STILLPOINT_REPOSITORY: path,
    STILLPOINT_VAULT_PORT: "0",
    STILLPOINT_VAULT_DIRECTORY: join(directory.path, "vault"),
  };
  const withFile = { ...settings, STILLPOINT_KEY_FILE: keyFile };
  return { nats, bus, store, other, keyFile, settings, withFile, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

test("a key that is due is replaced by itself, people are reminded of the others, and both are told as events, metric and report", async () => {
  await using setup = await installation();
  const { bus, store, other, keyFile } = setup;
  const before = await readFile(keyFile, "utf8");
  const { ring: first } = await openKeyRing(store, await openerFromFile(keyFile));
  const { ring: second } = await openKeyRing(store, other);
  await using vault = await inProcessService(service, setup.nats, setup.withFile);
  const dueAt = (slot: string) => `stillpoint_key_due_timestamp_seconds{slot="${slot}",method="age"} `;
  expect(await vault.metrics()).toContain(dueAt(first.slot.id) + (LONG_AGO + 90 * DAY_MS) / 1_000);

  const after = await bus.lastEventSequence();
  const taskId = randomUUID();
  const command = { taskId, task: "rotate" as const, requestedBy: "person" as const };
  await bus.publishCommand(maintainRepository, { task: "rotate" }, command, { messageId: taskId });
  const last = await bus.bucket(BUCKETS.maintenance);
  const report = await waitFor("the keys are looked at", async () => {
    const found = (await last.get("rotate"))?.value;
    return found?.taskId === taskId ? found : undefined;
  });
  expect(report).toMatchObject({
    outcome: "problems",
    figures: { keys: 2, due: 1, rotated: 1 },
    problems: [{ severity: "attention", where: `keys/${second.slot.id}`, hint: "stillpoint key list" }],
  });
  expect(await readFile(keyFile, "utf8")).not.toBe(before);
  const { ring: renewed } = await openKeyRing(store, await openerFromFile(keyFile));
  const told: unknown[] = [];
  const events = [keyDue, keyRotated, maintenanceFinished];
  for await (const fact of bus.followEvents(events, { after, signal: AbortSignal.timeout(60_000) })) {
    if (fact.type === "current") break;
    told.push(fact.body);
  }
  expect(told).toMatchObject([
    { slot: renewed.slot.id, replaced: [first.slot.id] },
    { slot: second.slot.id, state: "due", method: "age", why: expect.stringContaining("key add") },
    { report: { task: "rotate" } },
  ]);
  const metrics = await vault.metrics();
  expect(metrics).toContain(dueAt(renewed.slot.id));
  expect(metrics).not.toContain(first.slot.id);
  // The secret is in no log line, no event and no metric.
  const identity = (await readFile(keyFile, "utf8")).trim();
  for (const seen of [metrics, JSON.stringify(vault.lines), JSON.stringify(told)]) expect(seen).not.toContain(identity);
});

test("a vault opens with a key service as well, and says which of the settings is wrong", async () => {
  await using setup = await installation();
  await using kms = await startKmsStandIn();
  await using transit = await startTransitStandIn();
  transit.createKey("backup");
  const environment = { ...kms.environment, ...transit.environment };
  const key = kms.createKey();
  const context = await openKeys(setup.store, setup.other, work);
  await addSlot(context, await configuredOpener({ kmsKey: key }, environment), { type: "opener" });
  await addSlot(context, await configuredOpener({ transitKey: "backup" }, environment), { type: "opener" });
  for (const named of [{ STILLPOINT_KMS_KEY: key }, { STILLPOINT_TRANSIT_KEY: "backup" }]) {
    await using _vault = await inProcessService(service, setup.nats, { ...setup.settings, ...environment, ...named });
  }
  for (const named of [{}, { STILLPOINT_KMS_KEY: key, STILLPOINT_KEY_FILE: setup.keyFile }])
    await expect(inProcessService(service, setup.nats, { ...setup.settings, ...named })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      where: "STILLPOINT_KEY_FILE",
    });
});

test("a vault with a wrong key, or without a repository, says so and stops; it makes none", async () => {
  await using setup = await installation();
  await writeFile(setup.keyFile, (await newIdentity()).reveal());
  const names = async () => (await Array.fromAsync(setup.store.list(""))).map(({ name }) => name);
  const before = await names();
  await expect(inProcessService(service, setup.nats, setup.withFile)).rejects.toMatchObject({ code: "KEY_WRONG" });
  expect(await names()).toEqual(before);
  for (const name of before) await setup.store.delete(name);
  await expect(inProcessService(service, setup.nats, setup.withFile)).rejects.toMatchObject({
    code: "REPOSITORY_MISSING",
    hint: expect.stringContaining("stillpoint repo init"),
  });
  expect(await names()).toEqual([]);
});

test("a vault starts after a new key epoch, which every key of the one before opens", async () => {
  await using setup = await installation();
  const { store, keyFile, other } = setup;
  const holder = await newIdentity();
  const context = await openKeys(store, await openerFromFile(keyFile), work);
  await addSlot(context, await ageRecipient(await identityToRecipient(holder.reveal())), { type: "escrow" });
  await beginEpoch(context, await planEpoch(context, { openers: [other], without: [] }));
  await using _vault = await inProcessService(service, setup.nats, setup.withFile);
  for (const opener of [other, await ageIdentity(holder, { escrow: true })])
    expect((await openKeyRing(store, opener)).ring.epochs.current).toBe(2);
});
