import { randomBytes, randomUUID } from "node:crypto";
import { rm, utimes } from "node:fs/promises";
import { join } from "node:path";
import type { Bus } from "@stillpoint/bus/bus";
import { maintainRepository } from "@stillpoint/contracts/commands";
import { maintenanceFinished, pointDeleted } from "@stillpoint/contracts/events";
import type { MaintenanceTask } from "@stillpoint/contracts/maintenance";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultApplyRetention, vaultPlanRetention } from "@stillpoint/contracts/vault";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { Repository } from "@stillpoint/repository/repository";
import { inProcessService } from "@stillpoint/testkit/in-process-service";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";
import { installation } from "./installation.ts";
import { sealTrialPoint } from "./trial-point.ts";

async function ask(bus: Bus, task: MaintenanceTask, taskId = randomUUID()): Promise<string> {
  const command = { taskId, task, requestedBy: "person" as const };
  await bus.publishCommand(maintainRepository, { task }, command, { messageId: taskId });
  return taskId;
}

async function reportOf(bus: Bus, task: MaintenanceTask, taskId: string) {
  const last = await bus.bucket(BUCKETS.maintenance);
  return waitFor(`${task} is done`, async () => {
    const found = (await last.get(task))?.value;
    return found?.taskId === taskId ? found : undefined;
  });
}

async function writeFileBackup(repository: Repository, backupId: string, type: "full" | "log" = "full"): Promise<void> {
  const tar = createTarWriter();
  const body = randomBytes(10_000);
  const entry = {
    type: "file" as const,
    path: "a",
    mode: 0o600,
    mtimeMs: 0,
    size: body.length,
    hint: "content" as const,
  };
  const written = tar
    .add(
      entry,
      (async function* () {
        yield body;
      })(),
    )
    .then(() => tar.end());
  const head = { plan: "shop", source: "files", kind: "files" as const, type, runId: randomUUID() };
  await repository.writeBackup({ ...head, backupId, startedAt: new Date().toISOString() }, tar.stream);
  await written;
}

test("a task is done once by one of two vaults, and its result is an event and can be looked up", async () => {
  await using setup = await installation("maintenance");
  const { bus } = setup;
  await using _one = await inProcessService(service, setup.nats, setup.settings);
  await using _two = await inProcessService(service, setup.nats, setup.settings);
  const after = await bus.lastEventSequence();
  const taskId = await ask(bus, "check");
  expect(await reportOf(bus, "check", taskId)).toMatchObject({ outcome: "sound", problems: [], requestedBy: "person" });
  const told: string[] = [];
  for await (const fact of bus.followEvents([maintenanceFinished], { after, signal: AbortSignal.timeout(60_000) })) {
    if (fact.type === "current") break;
    told.push(fact.body.report.taskId);
  }
  expect(told).toEqual([taskId]);
});

test("garbage is collected, and what a deleted point still pins is left", async () => {
  await using setup = await installation("maintenance");
  await writeFileBackup(setup.repository, "one");
  const pointId = await sealTrialPoint(setup.repository, "shop", "2026-01-01T12:00:00.000Z", "one");
  await setup.repository.deletePoint(pointId, { by: "a test" });
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const report = await reportOf(setup.bus, "gc", await ask(setup.bus, "gc"));
  expect(report).toMatchObject({ outcome: "sound", figures: { freedObjects: 0, condemnedObjects: 0 } });
  await setup.repository.undeletePoint(pointId, { by: "a test" });
  expect((await setup.repository.check({ readData: true })).problems).toEqual([]);
});

test("the log is kept for as long as its plan says, and whole where no plan says anything", async () => {
  await using setup = await installation("maintenance");
  const { bus, repository } = setup;
  /** The storage's clock goes on, as far as its objects can tell. */
  const age = async (days: number) => {
    for await (const { name, modifiedMs } of setup.store.list("")) {
      const seconds = modifiedMs / 1_000 - days * 86_400;
      await utimes(join(setup.path, name), seconds, seconds);
    }
  };
  await writeFileBackup(repository, "base-1");
  await sealTrialPoint(repository, "shop", "2026-01-01T12:00:00.000Z", "base-1");
  await writeFileBackup(repository, "log-1", "log");
  await age(30);
  await writeFileBackup(repository, "base-2");
  await sealTrialPoint(repository, "shop", "2026-01-31T12:00:00.000Z", "base-2");
  await age(30);
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const plans = await bus.bucket(BUCKETS.plans);
  const condemnedWith = async (log: string | undefined) => {
    const definition = { sources: { files: { kind: "files" as const, paths: ["/etc"] } }, keep: { log } };
    const acceptedAt = "2026-01-01T00:00:00.000Z";
    if (log !== undefined) await plans.put("shop", { plan: "shop", revision: "a".repeat(64), definition, acceptedAt });
    return (await reportOf(bus, "gc", await ask(bus, "gc"))).figures.condemnedObjects;
  };
  expect(await condemnedWith(undefined)).toBe(0);
  expect(await condemnedWith("40d")).toBe(0);
  expect(await condemnedWith("7d")).toBeGreaterThan(0);
});

test("damage is named, with what it hurts, and the task has not failed", async () => {
  await using setup = await installation("maintenance");
  await writeFileBackup(setup.repository, "one");
  const packs = await Array.fromAsync(setup.store.list("packs/"));
  await rm(join(setup.path, packs[0]?.name ?? ""));
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const report = await reportOf(setup.bus, "check", await ask(setup.bus, "check"));
  expect(report).toMatchObject({
    outcome: "problems",
    problems: [{ severity: "damage", where: packs[0]?.name, why: expect.stringContaining("missing") }],
  });
  expect(report.problems[0]?.why).toContain("one");
});

test("retention is applied to each plan that is in force, each deletion is told, and a repository that is away is a failure", async () => {
  await using setup = await installation("maintenance");
  const { bus, repository } = setup;
  await writeFileBackup(repository, "one");
  const points: string[] = [];
  for (const day of [1, 2, 3])
    points.push(await sealTrialPoint(repository, "shop", `2026-01-0${day}T12:00:00.000Z`, "one"));
  await sealTrialPoint(repository, "gone", "2026-01-01T12:00:00.000Z", "one");
  const plans = await bus.bucket(BUCKETS.plans);
  const definition = {
    sources: { files: { kind: "files" as const, paths: ["/etc"] } },
    keep: { points: { last: 1 }, minimum: 1 },
  };
  await plans.put("shop", {
    plan: "shop",
    revision: "a".repeat(64),
    definition,
    acceptedAt: "2026-01-01T00:00:00.000Z",
  });
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const after = await bus.lastEventSequence();
  const report = await reportOf(bus, "retain", await ask(bus, "retain"));
  expect(report).toMatchObject({ outcome: "sound", figures: { plans: 1, kept: 1, deleted: 2, withoutPlan: 1 } });
  const told: string[] = [];
  for await (const fact of bus.followEvents([pointDeleted], { after, signal: AbortSignal.timeout(60_000) })) {
    if (fact.type === "current") break;
    told.push(fact.body.pointId);
  }
  expect(told).toEqual(points.slice(0, 2));
  expect((await Array.fromAsync(repository.points())).map(({ plan }) => plan).sort()).toEqual(["gone", "shop"]);

  await rm(setup.path, { recursive: true });
  const failed = await reportOf(bus, "check", await ask(bus, "check"));
  expect(failed).toMatchObject({ outcome: "failed", problems: [] });
});

test("a person looks at what retention would do, and has it done; another policy's plan is refused", async () => {
  await using setup = await installation("maintenance");
  const { bus, repository } = setup;
  await writeFileBackup(repository, "one");
  const points: string[] = [];
  for (const day of [1, 2, 3])
    points.push(await sealTrialPoint(repository, "shop", `2026-01-0${day}T12:00:00.000Z`, "one"));
  const plans = await bus.bucket(BUCKETS.plans);
  const inForce = (last: number) => ({
    plan: "shop",
    revision: "a".repeat(64),
    definition: {
      sources: { files: { kind: "files" as const, paths: ["/etc"] } },
      keep: { points: { last }, minimum: 1 },
    },
    acceptedAt: "2026-01-01T00:00:00.000Z",
  });
  await plans.put("shop", inForce(2));
  await using _vault = await inProcessService(service, setup.nats, setup.settings);
  const request = { timeoutMs: 30_000 };
  const planned = await bus.request(vaultPlanRetention, {}, { plan: "shop" }, request);
  expect(planned).toMatchObject({ goCount: 1, keepCount: 2, freed: 0, stillNeeded: 1, go: [{ pointId: points[0] }] });
  const apply = () => bus.request(vaultApplyRetention, {}, { ...planned, by: "person alice" }, request);
  await plans.put("shop", inForce(1));
  await expect(apply()).rejects.toMatchObject({ code: "CONFLICT" });
  await plans.put("shop", inForce(2));
  expect(await apply()).toEqual({ deleted: [points[0]] });
  expect(await apply()).toEqual({ deleted: [] });
  await expect(bus.request(vaultPlanRetention, {}, { plan: "none" }, request)).rejects.toMatchObject({
    code: "PLAN_UNKNOWN",
  });
});
