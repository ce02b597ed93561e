/**
 * The process inside a sandbox's namespaces: prepares them, starts the servers, forwards, probes. It is a program of its
 * own and is started by `isolate`. When its owner goes away, it ends, and everything that it started with it.
 */
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { closeSync, openSync } from "node:fs";
import { chown, mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import { probeEgress, splitAddress } from "./egress-probe.ts";
import { forward } from "./forwarder.ts";
import { type HidePlan, type IsolationReply, type IsolationRequest, isolationRequest } from "./isolation-messages.ts";

const execute = promisify(execFile);
const children = new Map<number, ChildProcess>();
const ownPorts = new Set<number>();
let isNetworkOwn = false;

/** The first of these that a machine has brings the loopback device up; minimal images have only perl. */
const LOOPBACK_UP: [string, ...string[]][] = [
  ["ip", "link", "set", "lo", "up"],
  ["ifconfig", "lo", "up"],
  ["perl", "-e", 'use Socket; socket(S,AF_INET,SOCK_DGRAM,0) && ioctl(S,0x8914,pack("a16sx22","lo",0x49)) || die $!'],
];

async function bringLoopbackUp(): Promise<void> {
  const failures: string[] = [];
  for (const [command, ...args] of LOOPBACK_UP) {
    try {
      await execute(command, args);
      return;
    } catch (error) {
      failures.push(error instanceof Error ? error.message.trim() : String(error));
    }
  }
  throw new Error(`the loopback device stays down: ${failures.join("; ")}`);
}

async function hide(plan: HidePlan): Promise<void> {
  for (const { path, mode, visible } of plan.directories) {
    const opened = visible.map((each) => ({ path: each, descriptor: openSync(each, "r") }));
    try {
      await execute("mount", ["-t", "tmpfs", "-o", `mode=${mode},nosuid,nodev`, "none", path]);
      for (const { path: at, descriptor } of opened) {
        await mkdir(at, { recursive: true });
        await bind(descriptor, at);
      }
    } finally {
      for (const { descriptor } of opened) closeSync(descriptor);
    }
  }
  for (const socket of plan.sockets) await execute("mount", ["--bind", "/dev/null", socket]);
}

/** The path that the descriptor came from is covered already, so mount must take the descriptor as it is. */
async function bind(descriptor: number, at: string): Promise<void> {
  const child = spawn("mount", ["-c", "--bind", "/proc/self/fd/3", at], {
    stdio: ["ignore", "ignore", "pipe", descriptor],
  });
  let why = "";
  child.stderr?.on("data", (text: Buffer) => {
    why += text.toString();
  });
  const { promise, resolve, reject } = Promise.withResolvers<number | null>();
  child.once("error", reject);
  child.once("close", resolve);
  if ((await promise) !== 0) throw new Error(`${at} cannot be kept visible: ${why.trim()}`);
}

async function start(request: Extract<IsolationRequest, { do: "spawn" }>): Promise<void> {
  const { id, command, args, env, cwd, account, output, guarded } = request;
  const descriptor = openSync(output, "a", 0o600);
  try {
    const [program, ...rest] = guarded ? ["setpriv", "--pdeathsig", "KILL", command, ...args] : [command, ...args];
    const child = spawn(program ?? command, rest, {
      cwd,
      env,
      stdio: ["ignore", descriptor, descriptor],
      detached: true,
      ...account,
    });
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    child.once("spawn", resolve);
    child.once("error", reject);
    await promise;
    children.set(id, child);
    child.once("exit", (code, signal) => {
      children.delete(id);
      reply({ is: "exited", id, code, signal });
    });
  } finally {
    closeSync(descriptor);
  }
}

function kill(child: ChildProcess, signal: string): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  // Its whole group where it ends for good; a server that is asked to stop tells its own processes.
  process.kill(signal === "SIGKILL" ? -child.pid : child.pid, signal);
}

async function probe(addresses: string[], timeoutMs: number) {
  const own = addresses.filter((address) => isNetworkOwn && isOwnServer(address));
  const results = await probeEgress(
    addresses.filter((address) => !own.includes(address)),
    timeoutMs,
  );
  const answered = own.map((address) => ({ address, reached: false, detail: "the sandbox's own server is there" }));
  return [...results, ...answered].sort((a, b) => addresses.indexOf(a.address) - addresses.indexOf(b.address));
}

function isOwnServer(address: string): boolean {
  if (address.startsWith("unix:") || address.startsWith("dns:")) return false;
  const { host, port } = splitAddress(address);
  return (host === "localhost" || host === "::1" || host.startsWith("127.")) && ownPorts.has(port);
}

async function answer(request: IsolationRequest): Promise<IsolationReply> {
  const { id } = request;
  switch (request.do) {
    case "prepare":
      isNetworkOwn = request.loopback;
      if (request.loopback) await bringLoopbackUp();
      if (request.hide !== undefined) await hide(request.hide);
      break;
    case "spawn":
      await start(request);
      break;
    case "kill": {
      const child = children.get(request.process);
      if (child !== undefined) kill(child, request.signal);
      break;
    }
    case "forward":
      await forward({ path: request.socket }, { host: "127.0.0.1", port: request.port });
      if (request.account !== undefined) await chown(request.socket, request.account.uid, request.account.gid);
      ownPorts.add(request.port);
      break;
    case "probe":
      return { is: "done", id, results: await probe(request.addresses, request.timeoutMs) };
    case "end":
      await end();
  }
  return { is: "done", id, results: [] };
}

async function end(): Promise<void> {
  const gone = [...children.values()].map(async (child) => {
    const exited = Promise.withResolvers<void>();
    child.once("exit", () => exited.resolve());
    kill(child, "SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await exited.promise;
  });
  await Promise.all(gone);
}

function reply(message: IsolationReply): void {
  if (process.connected) process.send?.(message);
}

process.on("message", (message) => {
  const request = isolationRequest.parse(message);
  answer(request).then(reply, (error: unknown) => {
    reply({ is: "failed", id: request.id, why: error instanceof Error ? error.message : String(error) });
  });
});
process.on("disconnect", () => {
  void end().finally(() => process.exit(0));
});
// Asked to stop by whoever stops the owner too: the owner decides when, by going away.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => undefined);
