import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { performance } from "node:perf_hooks";
import { setTimeout as delay } from "node:timers/promises";
import { freePort } from "@stillpoint/parts/free-port";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { type NatsServer, startNats } from "@stillpoint/parts/nats-server";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";

const HOST = join(import.meta.dirname, "../src/host.ts");
const FIRST = join(import.meta.dirname, "fixtures/first-service.ts");
const SECOND = join(import.meta.dirname, "fixtures/second-service.ts");

let directory: string;
let nats: NatsServer;
beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), "stillpoint-service-"));
  const part = await ensureNats({ directory: join(tmpdir(), "stillpoint-parts") });
  nats = await startNats({ part, dir: directory });
});
afterAll(async () => {
  await nats?.stop();
  await rm(directory, { recursive: true, force: true });
});

type Run = { child: ChildProcess; out: () => string; log: () => string; exit: Promise<number | null> };
const children: ChildProcess[] = [];
afterEach(() => {
  for (const child of children.splice(0)) if (child.exitCode === null) child.kill("SIGKILL");
});

function start(services: string[], env: Record<string, string>, rest: { flags?: string[]; ipc?: boolean } = {}): Run {
  const { PATH, NODE_COMPILE_CACHE } = process.env;
  const own = { PATH, NODE_COMPILE_CACHE, STILLPOINT_NATS_URL: nats.url, STILLPOINT_FIRST_PASSWORD: "geheim" };
  const child = spawn(process.execPath, [HOST, ...services, ...(rest.flags ?? [])], {
    env: { ...own, ...env },
    stdio: rest.ipc ? ["ignore", "pipe", "pipe", "ipc"] : ["ignore", "pipe", "pipe"],
  });
  children.push(child);
  let out = "";
  let log = "";
  child.stdout?.on("data", (data: Buffer) => {
    out += data;
  });
  child.stderr?.on("data", (data: Buffer) => {
    log += data;
  });
  // Not "close": a child that is disconnected in between never emits it.
  const ended = [child.stdout, child.stderr].flatMap((stream) => (stream === null ? [] : [once(stream, "end")]));
  const exit = Promise.all([once(child, "exit"), ...ended]).then(() => child.exitCode);
  return { child, out: () => out, log: () => log, exit };
}

async function until(what: string, isSo: () => boolean | Promise<boolean>): Promise<void> {
  const begun = performance.now();
  while (!(await isSo())) {
    if (performance.now() - begun > 90_000) throw new Error(`never came true: ${what}`);
    await delay(20);
  }
}

test("a signal closes what was opened last first, services before the bus, and ends with 0", async () => {
  const run = start([FIRST, SECOND], {});
  await until("started", () => run.out().includes("second: started"));
  run.child.kill("SIGTERM");
  expect(await run.exit).toBe(0);
  const lines = run.out().trim().split("\n");
  expect(lines.slice(-4)).toEqual(["first: signal", "second: closed, bus there", "first: closed b", "first: closed a"]);
});

test("a process that is to give way does so in each of its threads", async () => {
  const run = start([FIRST], { STILLPOINT_NICE: "7" });
  await until("started", () => run.out().includes("first: started"));
  const threads = `/proc/${run.child.pid}/task`;
  // Behind the name in parentheses, which may have any in it, the 17th field is the priority.
  const told = (await readdir(threads)).map((thread) => readFile(join(threads, thread, "stat"), "utf8"));
  const nice = (await Promise.all(told)).map((stat) => stat.slice(stat.lastIndexOf(")") + 2).split(" ")[16]);
  expect(nice.length).toBeGreaterThan(1);
  expect(new Set(nice)).toEqual(new Set(["7"]));
});

test("a second signal ends a stop that takes too long, with 130", async () => {
  const run = start([FIRST], { STILLPOINT_FIRST_FAULT: "slow-stop" });
  await until("started", () => run.out().includes("first: started"));
  run.child.kill("SIGTERM");
  await until("stopping", () => run.out().includes("first: closed b"));
  run.child.kill("SIGINT");
  expect(await run.exit).toBe(130);
});

test("a stop that outlasts its time ends all the same, and not as if all were well", async () => {
  const run = start([FIRST], { STILLPOINT_FIRST_FAULT: "slow-stop", STILLPOINT_STOP_WITHIN_MS: "200" });
  await until("started", () => run.out().includes("first: started"));
  run.child.kill("SIGTERM");
  expect(await run.exit).toBe(1);
  expect(run.log()).toContain("not stopped in time");
});

test("every bad setting of every service is named at once, secrets and passwords in URLs are not printed", async () => {
  const run = start([FIRST, SECOND], {
    STILLPOINT_FIRST_PASSWORD: "",
    STILLPOINT_FIRST_LIMIT: "99",
    STILLPOINT_SECOND_PORT: "http",
    STILLPOINT_NATS_URL: "nats://user:open-sesame@host",
  });
  expect(await run.exit).toBe(2);
  for (const name of ["FIRST_PASSWORD", "FIRST_LIMIT", "SECOND_PORT", "NATS_URL"])
    expect(run.log()).toContain(`STILLPOINT_${name}`);
  expect(run.log()).toContain("99");
  expect(run.log()).not.toContain("open-sesame");
});

test("a secret comes from a file, without its line's end, and never into the log", async () => {
  const file = join(directory, "password");
  await writeFile(file, "sesame\n");
  const run = start([FIRST], { STILLPOINT_FIRST_PASSWORD: "", STILLPOINT_FIRST_PASSWORD_FILE: file });
  await until("started", () => run.out().includes("first: started"));
  run.child.kill("SIGTERM");
  expect(await run.exit).toBe(0);
  expect(run.out()).toContain("password of 6");
  expect(run.log()).toContain("configured");
  expect(run.log()).not.toMatch(/sesame|plain/);
});

test("a service that cannot start closes what it had opened, and the process says why and ends with 1", async () => {
  const run = start([SECOND, FIRST], { STILLPOINT_FIRST_FAULT: "start" });
  expect(await run.exit).toBe(1);
  expect(run.out()).toContain("second: closed, bus there");
  expect(run.out()).toContain("first: closed a");
  expect(run.log()).toContain("cannot begin");
});

test("a promise that fails unseen ends the process with 1, after a line in the log", async () => {
  const run = start([FIRST], { STILLPOINT_FIRST_FAULT: "rejection" });
  expect(await run.exit).toBe(1);
  expect(run.log()).toMatch(/nobody looks.*unhandled rejection/);
});

test("a task that fails is counted and comes again; one port tells of all services of the process", async () => {
  const port = await freePort();
  const run = start([FIRST, SECOND], { STILLPOINT_HEALTH_PORT: String(port) });
  const get = (path: string) => fetch(`http://127.0.0.1:${port}${path}`).catch(() => undefined);
  await until("ready", async () => (await get("/ready"))?.status === 200);
  expect(await (await get("/live"))?.json()).toEqual({ status: "live", services: ["first", "second"] });
  await until("failed more than once", async () => {
    const metrics = (await (await get("/metrics"))?.text()) ?? "";
    return Number(/stillpoint_task_failures_total\{service="first"\} (\d+)/.exec(metrics)?.[1] ?? 0) > 1;
  });
  await nats.stop();
  await until("not ready without NATS", async () => (await get("/ready"))?.status === 503);
  expect(await (await get("/ready"))?.json()).toMatchObject({ waitingFor: ["nats"] });
  expect((await get("/live"))?.status).toBe(200);
  await nats.restart();
  await until("ready again", async () => (await get("/ready"))?.status === 200);
  run.child.kill("SIGTERM");
  expect(await run.exit).toBe(0);
});

test("a process that waits for NATS can be stopped", async () => {
  const run = start([SECOND], { STILLPOINT_NATS_URL: `nats://127.0.0.1:${await freePort()}` });
  await until("waiting", () => run.log().includes("waiting for NATS"));
  run.child.kill("SIGTERM");
  expect(await run.exit).toBe(0);
});

test("a child ends when its parent hangs up", async () => {
  const run = start([SECOND], {}, { ipc: true });
  await until("started", () => run.out().includes("second: started"));
  run.child.disconnect();
  expect(await run.exit).toBe(0);
});

test("a child ends when the process that it was told is its parent dies", async () => {
  const parent = spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"], { stdio: "ignore" });
  children.push(parent);
  const run = start([SECOND], { STILLPOINT_PARENT_PID: String(parent.pid) });
  await until("started", () => run.out().includes("second: started"));
  parent.kill("SIGKILL");
  expect(await run.exit).toBe(0);
});

test("--check loads everything, needs no settings and no server, and ends with 0", async () => {
  const run = start(
    [FIRST, SECOND],
    { STILLPOINT_FIRST_PASSWORD: "", STILLPOINT_NATS_URL: "nonsense" },
    { flags: ["--check"] },
  );
  expect(await run.exit).toBe(0);
  expect(run.out()).toBe("first, second: ok\n");
});
