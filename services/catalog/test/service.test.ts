import type { Bus } from "@stillpoint/bus/bus";
import { backupStored, pointSealed, proofSealed, runFinished, runStarted } from "@stillpoint/contracts/events";
import { catalogRebuild, queryBackups, queryPoint, queryPoints, queryRuns } from "@stillpoint/contracts/queries";
import { vaultList } from "@stillpoint/contracts/vault";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterEach, expect, test } from "vitest";
import { toCatalogError } from "../src/database.ts";
import { service } from "../src/service.ts";
import { emptyPlace } from "./databases.ts";
import { backupAt, finishedAt, idAt, pointAt, proofAt, startedAt } from "./history.ts";

let resources = new AsyncDisposableStack();
afterEach(async () => {
  await resources.disposeAsync();
  resources = new AsyncDisposableStack();
});

const PATIENCE = { timeoutMs: 30_000 };
const countPoints = async (bus: Bus) => (await bus.request(queryPoints, {}, {}, PATIENCE)).points.length;

async function tell(bus: Bus, number: number): Promise<void> {
  const [point, proof] = [pointAt(number), proofAt(number, "pass")];
  const { pointId, runId } = point;
  await bus.publishEvent(runStarted, { runId }, startedAt(number));
  for (const source of ["orders", "carts"]) {
    const figures = backupAt(number, source);
    await bus.publishEvent(backupStored, { backupId: figures.backupId }, { figures });
  }
  await bus.publishEvent(pointSealed, { pointId }, { point });
  await bus.publishEvent(runFinished, { runId }, finishedAt(number));
  await bus.publishEvent(proofSealed, { pointId }, { proof });
}

/** A vault with this in its repository. */
async function vaultHolding(bus: Bus, numbers: number[]): Promise<AsyncDisposable> {
  return bus.answer(vaultList, {}, async ({ body: { what } }) => ({
    points: what === "points" ? numbers.map((number) => pointAt(number)) : [],
    proofs: what === "proofs" ? numbers.map((number) => proofAt(number, "pass")) : [],
    backups:
      what === "backups" ? numbers.flatMap((number) => [backupAt(number, "carts"), backupAt(number, "orders")]) : [],
  }));
}

test("what is told while no catalog runs is there when one starts, and a restart changes nothing", async () => {
  const nats = resources.use(await ownNats());
  const bus = resources.use(await testBus(nats));
  const place = await emptyPlace("embedded", resources);
  await tell(bus, 1);
  await using first = await inProcessService(service, nats, place);
  await waitFor("the point is known", async () => (await countPoints(bus)) === 1);
  await tell(bus, 2);
  const proven = async () => (await bus.request(queryPoints, {}, {}, PATIENCE)).points[0]?.verdict === "pass";
  await waitFor("the second proof is known", proven);
  await first[Symbol.asyncDispose]();

  await using _second = await inProcessService(service, nats, place);
  const { points } = await bus.request(queryPoints, {}, { plan: "shop", limit: 1 }, PATIENCE);
  expect(points).toEqual([{ point: pointAt(2), verdict: "pass", rtoMs: 1_234.5 }]);
  const one = await bus.request(queryPoint, {}, { pointId: idAt(1, 2) }, PATIENCE);
  expect(one.backups).toHaveLength(2);
  expect((await bus.request(queryRuns, {}, {}, PATIENCE)).runs.map(({ state }) => state)).toEqual([
    "finished",
    "finished",
  ]);
  await expect(bus.request(queryPoint, {}, { pointId: idAt(9, 2) }, PATIENCE)).rejects.toMatchObject({
    code: "POINT_UNKNOWN",
  });
});

test("a catalog made from nothing fills itself from the repository when the vault answers, and says that runs are gone", async () => {
  const nats = resources.use(await ownNats());
  const bus = resources.use(await testBus(nats));
  resources.use(await inProcessService(service, nats, await emptyPlace("postgres", resources)));
  await tell(bus, 3);
  await waitFor("the event is projected", async () => (await countPoints(bus)) === 1);
  resources.use(await vaultHolding(bus, [1, 2, 3]));
  await waitFor("it is filled", async () => (await countPoints(bus)) === 3);
  await waitFor("every backup is known", async () => {
    return (await bus.request(queryBackups, {}, {}, PATIENCE)).backups.length === 6;
  });
  const { runs, notes } = await bus.request(queryRuns, {}, {}, PATIENCE);
  expect(runs).toHaveLength(1);
  expect(notes).toEqual([expect.stringContaining("gone up to 2 points")]);
});

test("a rebuild by request answers with what it found, and its error where the vault does not answer", async () => {
  const nats = resources.use(await ownNats());
  const bus = resources.use(await testBus(nats));
  resources.use(await inProcessService(service, nats, await emptyPlace("postgres", resources)));
  await expect(bus.request(catalogRebuild, {}, {}, PATIENCE)).rejects.toMatchObject({ code: "UNREACHABLE" });
  resources.use(await vaultHolding(bus, [1, 2]));
  const rebuilt = await bus.request(catalogRebuild, {}, {}, PATIENCE);
  expect(rebuilt).toMatchObject({ points: 2, proofs: 2, backups: 4, notes: [expect.stringContaining("gone")] });
});

test("a database that is away is tried again, a statement that is wrong is not", () => {
  const failing = (message: string, code?: string) =>
    Object.assign(new Error(message), code === undefined ? {} : { code });
  const retry = (error: Error) => toCatalogError(error, "Cannot project an event").retry;
  expect(retry(failing("connect ECONNREFUSED", "ECONNREFUSED"))).toBe("backoff");
  expect(retry(failing("terminating connection due to administrator command", "57P01"))).toBe("backoff");
  expect(retry(failing("Connection terminated unexpectedly"))).toBe("backoff");
  expect(retry(failing('relation "points" does not exist', "42P01"))).toBe("never");
});

test("without a place to be, and with a password in the URL, it does not start, and the password is not told", async () => {
  const nats = resources.use(await ownNats());
  await expect(inProcessService(service, nats, {})).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  const url = "postgres://catalog:hunter2@127.0.0.1:1/catalog";
  const refused = await inProcessService(service, nats, { STILLPOINT_CATALOG_URL: url }).catch(
    (error: unknown) => error,
  );
  expect(refused).toMatchObject({ code: "CONFIG_INVALID" });
  expect(JSON.stringify(refused) + String(refused)).not.toContain("hunter2");
});
