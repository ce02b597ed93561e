import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { ownDatabase } from "@stillpoint/testkit/postgres";
import { PROCESS_ENVIRONMENT } from "@stillpoint/testkit/process-environment";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { judge } from "../src/bounds.ts";
import type { HookManner } from "../src/gate.ts";
import { readJournal } from "../src/journal.ts";
import { type SampleOptions, startSample } from "../src/sample.ts";
import { seedSample } from "../src/seed.ts";
import { type Connections, closeStores, openStores } from "../src/stores.ts";

const resources = new AsyncDisposableStack();
let root: string;
let connections: Connections & { sqlite: { path: string } };
beforeAll(async () => {
  root = resources.use(await temporaryDirectory("sample-run")).path;
  connections = {
    postgres: { url: resources.use(await ownDatabase()).url },
    sqlite: { path: join(root, "sessions.db") },
    files: { directory: join(root, "files") },
  };
  await seedSample({ connections, scale: 0.01 });
});
afterAll(() => resources.disposeAsync());

let lives = 0;
async function start(options: Partial<SampleOptions> = {}) {
  const stateDirectory = join(root, `state-${++lives}`);
  const sample = await startSample({
    connections,
    stateDirectory,
    scale: 0.01,
    writers: 6,
    writesPerSecond: 300,
    ...options,
  });
  onTestFinished(() => sample.stop());
  await waitFor("it writes", () => sample.status().underWay > 0 && readJournal(sample.journalPath).length > 20);
  return sample;
}

async function hook(url: string, body: object, headers: Record<string, string> = {}) {
  const response = await fetch(url, { method: "POST", body: JSON.stringify(body), headers });
  const answer = (await response.json()) as Record<string, unknown>; // the expectations look at what is in it
  return { status: response.status, body: answer };
}

/** What every store holds, by name. */
async function documents(): Promise<Map<string, Map<string, number>>> {
  const stores = openStores(connections);
  try {
    return new Map(await Promise.all(stores.map(async (store) => [store.name, await store.documents()] as const)));
  } finally {
    await closeStores(stores);
  }
}

async function boundsUnder(manner: HookManner, fenceId: string) {
  const sample = await start({ hook: manner });
  const quiesced = await hook(sample.hookUrl, { verb: "quiesce", fenceId, ttlMs: 20_000 });
  expect(quiesced.status).toBe(200);
  const acknowledged = sample.status().sequence;
  const seen: Map<string, Map<string, number>>[] = [await documents()];
  // With writers that were not stopped, what is read next is of a later moment.
  if (manner.manner === "disabled")
    await waitFor("the writers go on", () => sample.status().sequence > acknowledged + 20);
  seen.push(await documents());
  const released = await hook(sample.hookUrl, { verb: "release", fenceId });
  await waitFor("the writers go on", () => sample.status().sequence > acknowledged + 5);
  const entries = readJournal(sample.journalPath);
  const judged = seen.flatMap((stores) =>
    [...stores.values()].map((found) => judge(entries, fenceId, new Set(found.values()))),
  );
  return { quiesced, released, seen, broken: judged.filter((bounds) => Object.values(bounds).flat().length > 0) };
}

test("confirmed quiet: nothing is under way, every store holds exactly the same, and nothing changes until the release", async () => {
  const { quiesced, released, seen, broken } = await boundsUnder({ manner: "honest" }, "honest");
  const [before, after] = seen;
  const expected = before?.get("postgres");
  expect(quiesced.body).toEqual({ confirmed: true, sequence: Math.max(...(expected?.values() ?? [])) });
  for (const stores of [before, after]) {
    for (const found of stores?.values() ?? []) expect(found).toEqual(expected);
  }
  expect(released.body).toEqual({ heldThroughout: true });
  expect(broken).toEqual([]);
});

test("with a hook that stops nobody the bounds are seen to be broken, though it says that it held", async () => {
  const { released, broken } = await boundsUnder({ manner: "disabled" }, "disabled");
  expect(released.body).toEqual({ heldThroughout: true });
  expect(broken.some(({ late }) => late.length > 0)).toBe(true);
});

test("a denying hook answers heldThroughout: false, a hasty one has gone on before the release", async () => {
  const denying = await start({ hook: { manner: "denying" } });
  await hook(denying.hookUrl, { verb: "quiesce", fenceId: "d", ttlMs: 20_000 });
  expect((await hook(denying.hookUrl, { verb: "release", fenceId: "d" })).body).toEqual({ heldThroughout: false });
  await denying.stop();

  const hasty = await start({ hook: { manner: "hasty", afterMs: 500 } });
  const { body } = await hook(hasty.hookUrl, { verb: "quiesce", fenceId: "h", ttlMs: 20_000 });
  await waitFor("the writers go on", () => hasty.status().sequence > Number(body.sequence));
  expect((await hook(hasty.hookUrl, { verb: "release", fenceId: "h" })).body).toEqual({ heldThroughout: false });
});

test("a second fence is 409, a fence that ended is 410, and an expired one lets the writers go on by itself", async () => {
  const sample = await start();
  const quiesce = (fenceId: string, ttlMs: number) => hook(sample.hookUrl, { verb: "quiesce", fenceId, ttlMs });
  const { body } = await quiesce("a", 1_000);
  expect((await quiesce("b", 1_000)).status).toBe(409);
  await waitFor("the writers go on", () => sample.status().sequence > Number(body.sequence));
  expect((await quiesce("a", 1_000)).status).toBe(410);
  expect(readJournal(sample.journalPath).map(({ event }) => event)).toContain("expired");
  expect((await quiesce("b", 20_000)).status).toBe(200);
  expect((await hook(sample.hookUrl, { verb: "release", fenceId: "a" })).body).toEqual({ heldThroughout: false });
  expect(sample.status().fence).toMatchObject({ fenceId: "b", confirmed: true });
  expect((await hook(sample.hookUrl, { verb: "release", fenceId: "b" })).body).toEqual({ heldThroughout: true });
});

test("a store that is down stops the writers with a word, no fence is confirmed, and the writers go on when it is back", async () => {
  const said: string[] = [];
  const sample = await start({ say: (line) => said.push(line) });
  const other = new DatabaseSync(connections.sqlite.path);
  other.exec("begin immediate");
  await waitFor("it says that sqlite is down", () => said.some((line) => /^sqlite is down \(.*locked.*\)/.test(line)));
  expect(sample.status().stores.sqlite).toMatchObject({ state: "down" });
  expect(await hook(sample.hookUrl, { verb: "quiesce", fenceId: "a", ttlMs: 200 })).toMatchObject({ status: 503 });
  other.exec("rollback");
  other.close();
  await waitFor("it says that sqlite is back", () => said.includes("sqlite is back; the writers go on"));
  await sample.stop();
  const [first, ...others] = [...(await documents()).values()];
  for (const found of others) expect(found).toEqual(first);
});

test("the token is asked for, and a body that is not the contract's is refused with the field", async () => {
  const sample = await start({ token: "sesame" });
  const body = { verb: "quiesce", fenceId: "a", ttlMs: 1_000 };
  expect((await hook(sample.hookUrl, body)).status).toBe(401);
  expect((await hook(sample.hookUrl, body, { authorization: "Bearer open" })).status).toBe(401);
  const headers = { authorization: "Bearer sesame" };
  const refused = await hook(sample.hookUrl, { verb: "quiesce", fenceId: "a" }, headers);
  expect(refused).toMatchObject({ status: 400, body: { error: expect.stringContaining("ttlMs") } });
  expect((await hook(sample.hookUrl, body, headers)).status).toBe(200);
});

const MAIN = fileURLToPath(new URL("../src/main.ts", import.meta.url));

async function startProcess(state: string): Promise<{ child: ChildProcess; hookUrl: string }> {
  const child = spawn(
    process.execPath,
    [MAIN, "run", "--without", "neo4j", "--without", "qdrant", "--port", "0", "--rate", "300", "--writers", "6"],
    {
      stdio: ["ignore", "pipe", "inherit"],
      env: {
        ...PROCESS_ENVIRONMENT,
        SAMPLE_POSTGRES: connections.postgres?.url,
        SAMPLE_SQLITE: connections.sqlite.path,
        SAMPLE_FILES: connections.files?.directory,
        SAMPLE_STATE: state,
      },
    },
  );
  onTestFinished(() => {
    child.kill("SIGKILL");
  });
  const [line] = await once(child.stdout, "data");
  return { child, hookUrl: JSON.parse(String(line)).hookUrl };
}

test("killed in the middle of writes and started again: every store ends with the same, and the fence is forgotten", async () => {
  const state = join(root, "state-killed");
  const journalPath = join(state, "journal.ndjson");
  const first = await startProcess(state);
  await waitFor("it has written", () => readJournal(journalPath).length > 100);
  first.child.kill("SIGKILL");
  await once(first.child, "exit");

  const second = await startProcess(state);
  await hook(second.hookUrl, { verb: "quiesce", fenceId: "a", ttlMs: 20_000 });
  const [held, ...others] = [...(await documents()).values()];
  for (const found of others) expect(found).toEqual(held);
  second.child.kill("SIGTERM");
  expect(await once(second.child, "exit")).toEqual([0, null]);

  const third = await startProcess(state);
  expect((await hook(third.hookUrl, { verb: "release", fenceId: "a" })).body).toEqual({ heldThroughout: false });
});
