import { request as httpRequest } from "node:http";
import { runBackup } from "@stillpoint/contracts/commands";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import { queryPoint, queryPoints, queryRuns } from "@stillpoint/contracts/queries";
import { vaultPoint, vaultStatus, vaultTicket } from "@stillpoint/contracts/vault";
import { afterAll, beforeAll, expect, test } from "vitest";
import { call, type Gateway, place } from "./gateway.ts";
import { samplePoint } from "./points.ts";

const point = samplePoint("shop");
let gateway: Gateway;
let url: string;
beforeAll(async () => {
  gateway = await place();
  ({ url } = await gateway.start());
});
afterAll(() => gateway[Symbol.asyncDispose]());

test("a run is started once for a key, answered with where to look, and refused while another goes on", async () => {
  const post = (key?: string) =>
    call(url, "/api/v1/plans/shop/runs", {
      method: "POST",
      headers: key === undefined ? {} : { "idempotency-key": key },
    });
  const first = await post("monday");
  expect(first.status).toBe(202);
  expect(first.location).toBe(`/api/v1/runs/${first.body.runId}`);
  expect((await gateway.bus.readCommand(runBackup, { plan: "shop" }))?.body.runId).toBe(first.body.runId);
  expect(await post("monday")).toMatchObject({ status: 202, body: first.body });
  expect(await post()).toMatchObject({
    status: 409,
    type: expect.stringContaining("application/problem+json"),
    body: { type: "about:blank", status: 409, code: "ALREADY_RUNNING", where: first.body.runId, retry: "never" },
  });
  // The run has ended: its key starts no other.
  await gateway.bus.purgeCommands(runBackup, { plan: "shop" });
  expect((await post("monday")).body).toEqual(first.body);
  expect(await gateway.bus.readCommand(runBackup, { plan: "shop" })).toBeUndefined();
  expect((await call(url, "/api/v1/plans/unknown/runs", { method: "POST" })).status).toBe(404);
});

test("reads go to the catalog with their page, and its errors come back as problems", async () => {
  const asked: unknown[] = [];
  await using _points = await gateway.bus.answer(queryPoints, {}, async ({ body }) => {
    asked.push(body);
    return { points: [{ point, verdict: "unproven" as const }], next: point.pointId };
  });
  await using _point = await gateway.bus.answer(queryPoint, {}, async ({ body: { pointId } }) => {
    throw new StillpointError("POINT_UNKNOWN", { what: "There is no such point", where: pointId });
  });
  const page = await call(url, `/api/v1/points?plan=shop&limit=1&before=${point.pointId}`);
  expect(page).toMatchObject({ status: 200, body: { points: [{ verdict: "unproven" }], next: point.pointId } });
  expect(asked).toEqual([{ plan: "shop", limit: 1, before: point.pointId }]);
  expect(await call(url, `/api/v1/points/${point.pointId}`)).toMatchObject({
    status: 404,
    body: { code: "POINT_UNKNOWN", where: point.pointId },
  });
});

test("without a catalog a read is a 503 that says what to look at, and health names what does not answer", async () => {
  const runs = await call(url, "/api/v1/runs");
  expect(runs).toMatchObject({
    status: 503,
    body: { code: "UNREACHABLE", retry: "backoff", hint: expect.any(String) },
  });
  const sick = await call(url, "/api/v1/health");
  expect(sick.body).toMatchObject({ status: "degraded", nats: { ok: true }, vault: { ok: false }, plans: ["shop"] });

  const status = { repositoryId: "r", url: "file:///r", formatVersion: 1, vaultUrl: "http://127.0.0.1:1" };
  await using _vault = await gateway.bus.answer(vaultStatus, {}, async () => status);
  await using _points = await gateway.bus.answer(queryPoints, {}, async () => ({ points: [] }));
  await using _runs = await gateway.bus.answer(queryRuns, {}, async () => ({ runs: [], notes: ["gone"] }));
  expect((await call(url, "/api/v1/health")).body).toMatchObject({ status: "ok", planFile: { state: "accepted" } });
  expect((await call(url, "/api/v1/runs")).body).toEqual({ runs: [], notes: ["gone"] });
});

test("a request that is not understood is answered with the field; a path that is not there with where to look", async () => {
  for (const [path, where] of [
    ["/api/v1/points?limit=0", "querystring: limit"],
    ["/api/v1/points?plan=My%20Shop", "querystring: plan"],
    ["/api/v1/points/7", "params: pointId"],
  ]) {
    expect(await call(url, path ?? "")).toMatchObject({ status: 400, body: { code: "INVALID_REQUEST", where } });
  }
  const json = { "content-type": "application/json" };
  const post = { method: "POST", headers: json };
  const tickets = `/api/v1/points/${point.pointId}/restore-tickets`;
  expect((await call(url, tickets, { ...post, body: "{" })).status).toBe(400);
  expect(await call(url, tickets, { ...post, body: '{"source":"x"}' })).toMatchObject({
    status: 400,
    body: { why: expect.stringContaining("source") },
  });
  expect(await call(url, "/api/v1/nothing")).toMatchObject({ status: 404, body: { hint: "see /api/docs" } });
});

test("tickets to restore are minted for the sources that are asked for, in the order of their backups", async () => {
  await using _point = await gateway.bus.answer(vaultPoint, {}, async () => ({ point, proofs: [] }));
  await using _ticket = await gateway.bus.answer(vaultTicket, {}, async ({ body }) => ({
    vaultUrl: "http://127.0.0.1:7410",
    ticket: JSON.stringify(body),
    expiresAt: toInstant(0),
  }));
  const path = `/api/v1/points/${point.pointId}/restore-tickets`;
  const post = (body?: object) =>
    call(url, path, {
      method: "POST",
      ...(body === undefined ? {} : { body: JSON.stringify(body), headers: { "content-type": "application/json" } }),
    });
  const all = await post();
  expect(all).toMatchObject({ status: 200, body: { vaultUrl: "http://127.0.0.1:7410" } });
  const tickets = all.body.tickets as { source: string; backups: string[]; ticket: string }[];
  expect(tickets.map(({ source }) => source)).toEqual(["config", "sessions"]);
  const [, sessions] = point.sources;
  expect(JSON.parse(tickets[1]?.ticket ?? "")).toEqual({
    purpose: "restore",
    pointId: point.pointId,
    backups: sessions?.backups,
  });
  expect((await post({ sources: ["sessions"] })).body.tickets).toHaveLength(1);
  expect(await post({ sources: ["graph"] })).toMatchObject({ status: 404, body: { code: "NOT_FOUND" } });
});

test("the documentation names every path, and is to be read", async () => {
  const { body } = await call(url, "/api/docs/json");
  expect(Object.keys(body.paths as object).sort()).toEqual([
    "/api/v1/backups",
    "/api/v1/backups/{backupId}",
    "/api/v1/health",
    "/api/v1/plans",
    "/api/v1/plans/{plan}",
    "/api/v1/plans/{plan}/runs",
    "/api/v1/points",
    "/api/v1/points/{pointId}",
    "/api/v1/points/{pointId}/restore-tickets",
    "/api/v1/points/{pointId}/validations",
    "/api/v1/runs",
    "/api/v1/runs/{runId}",
    "/api/v1/runs/{runId}/cancellation",
  ]);
  expect((await fetch(`${url}/api/docs/`)).headers.get("content-type")).toContain("text/html");
});

function status(headers: Record<string, string>): Promise<number> {
  return new Promise((resolve, reject) => {
    const asked = httpRequest(`${url}/api/v1/plans`, { headers }, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    });
    asked.on("error", reject);
    asked.end();
  });
}

test("pages of other sites, and names that were pointed at this machine, are not answered", async () => {
  const { host } = new URL(url);
  expect(await status({ origin: url })).toBe(200);
  expect(await status({ origin: "https://elsewhere.example" })).toBe(403);
  expect(await status({ host: "rebound.example:7400" })).toBe(403);
  expect(await status({ host: host.replace("127.0.0.1", "localhost") })).toBe(200);
});
