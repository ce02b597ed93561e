import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { connect, createServer, type Server } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, onTestFinished, test, vi } from "vitest";
import { listenOnLoopback } from "../src/forwarder.ts";
import { planHiding, socketPaths } from "../src/hide-plan.ts";
import { type Isolation, isolate } from "../src/isolation.ts";
import { isAlive, processIdentity } from "../src/process-identity.ts";
import { claimDirectory, reapSandboxes } from "../src/sandbox-record.ts";

let root: string;
let directory: string;
let resources: AsyncDisposableStack;
beforeEach(async () => {
  resources = new AsyncDisposableStack();
  root = await mkdtemp(join(tmpdir(), "stillpoint-isolation-"));
  resources.defer(async () => await rm(root, { recursive: true, force: true }));
  directory = join(root, "sandbox");
  await mkdir(directory);
});
afterEach(async () => await resources.disposeAsync());

const signal = new AbortController().signal;
const node = process.execPath;
async function listen(at: { path: string } | { host: string; port: number }): Promise<Server> {
  const server = createServer((socket) => {
    // The probe goes away as soon as it is connected.
    socket.on("error", () => undefined);
    socket.end("outside");
  });
  server.listen(at);
  await once(server, "listening");
  resources.defer(async () => {
    server.close();
    await once(server, "close");
  });
  return server;
}
function portOf(server: Server): number {
  const address = server.address();
  return typeof address === "object" && address !== null ? address.port : 0;
}
async function open(options: { open?: boolean } = {}): Promise<Isolation> {
  return resources.use(await isolate({ directory, signal, ...options }));
}
async function output(inside: Isolation, script: string): Promise<string> {
  const path = join(directory, "output");
  await rm(path, { force: true });
  const child = await inside.spawn(node, ["-e", script], { output: path });
  await child.exited;
  return await readFile(path, "utf8");
}

describe("a sandbox's isolation", () => {
  test("neither a port, nor a socket, nor a name of the outside answers inside, and with isolation off they do", async () => {
    const tcp = await listen({ host: "127.0.0.1", port: 0 });
    await listen({ path: join(root, "common.sock") });
    const addresses = [`127.0.0.1:${portOf(tcp)}`, `unix:${join(root, "common.sock")}`];
    const shut = await open();
    expect(shut).toMatchObject({ isolated: true, reason: undefined });
    expect(await shut.probeEgress([...addresses, "dns:example.com"])).toMatchObject(
      [...addresses, "dns:example.com"].map((address) => ({ address, reached: false })),
    );
    await shut[Symbol.asyncDispose]();
    const wide = await open({ open: true });
    expect(wide).toMatchObject({ isolated: false, reason: expect.stringContaining("open") });
    expect(await wide.probeEgress(addresses)).toMatchObject(addresses.map((address) => ({ address, reached: true })));
  });

  test("a socket that stands in a directory which stays visible is covered", async () => {
    await listen({ path: join(directory, "other.sock") });
    const [found] = await (await open()).probeEgress([`unix:${join(directory, "other.sock")}`]);
    expect(found).toMatchObject({ reached: false });
  });

  test("a server inside that speaks TCP is reached from outside, in large pieces, and is no egress", async () => {
    const inside = await open();
    const path = join(directory, "ready");
    const server = await inside.spawn(
      node,
      ["-e", 'net.createServer((s)=>s.pipe(s)).listen(41000,"127.0.0.1",()=>console.log("ready"))'],
      { output: path },
    );
    await vi.waitFor(async () => expect(await readFile(path, "utf8")).toContain("ready"), 90_000);
    const port = resources.use(await listenOnLoopback(await inside.forward(41000)));
    const client = connect({ host: "127.0.0.1", port: port.port });
    client.end(Buffer.alloc(5_000_000, 7));
    let bytes = 0;
    for await (const piece of client) bytes += piece.byteLength;
    expect(bytes).toBe(5_000_000);
    const [own] = await inside.probeEgress(["127.0.0.1:41000"]);
    expect(own).toMatchObject({ reached: false, detail: expect.stringContaining("own") });
    await server.kill("SIGKILL");
    expect(await server.exited).toEqual({ code: null, signal: "SIGKILL" });
  });

  test("nothing of this process's environment is inside", async () => {
    vi.stubEnv("STILLPOINT_TEST_SECRET", "hush");
    const seen = await output(
      await open(),
      'console.log(JSON.stringify(process.env), fs.readFileSync("/proc/1/environ","utf8"))',
    );
    vi.unstubAllEnvs();
    expect(seen).toContain("PATH");
    expect(seen).not.toContain("hush");
  });

  test("what runs inside sees its directory, and a temporary directory with nothing of others", async () => {
    await writeFile(join(root, "others"), "");
    await writeFile(join(directory, "mine"), "");
    const seen = await output(
      await open(),
      `console.log(JSON.stringify({ own: fs.readdirSync(${JSON.stringify(directory)}), above: fs.readdirSync(${JSON.stringify(root)}) }))`,
    );
    const { own, above } = JSON.parse(seen) as { own: string[]; above: string[] };
    expect(own).toContain("mine");
    expect(above).toEqual(["sandbox"]);
  });

  test("disposal ends every process, also one that left its parent and ignores requests", async () => {
    const inside = await open();
    const marker = join(directory, "marker.mjs");
    await writeFile(marker, 'process.on("SIGTERM", () => {}); setInterval(() => {}, 1000);');
    const script = `child_process.spawn(${JSON.stringify(node)}, [${JSON.stringify(marker)}], { detached: true, stdio: "ignore" }).unref();`;
    await inside.spawn(node, ["-e", script], { output: join(directory, "output") });
    const found = await vi.waitFor(async () => {
      const all = await running(marker);
      expect(all).toHaveLength(1);
      return all;
    }, 90_000);
    await inside[Symbol.asyncDispose]();
    expect(await running(marker)).toEqual([]);
    expect(found).toHaveLength(1);
  });

  test("a program that is not there is named", async () => {
    const inside = await open();
    await expect(inside.spawn("/nowhere/server", [], { output: join(directory, "output") })).rejects.toMatchObject({
      code: "SANDBOX_FAILED",
      why: expect.stringContaining("/nowhere/server"),
    });
  });
});

describe("an agent that was killed", () => {
  for (const how of ["isolated", "open"] as const) {
    test(`${how}: its servers die with it, and the next start finds what it left`, async () => {
      const work = join(root, "work");
      await mkdir(work);
      const agent = spawn(node, [fileURLToPath(new URL("./fixtures/agent.ts", import.meta.url)), work, how], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      onTestFinished(() => void agent.kill("SIGKILL"));
      await once(agent.stdout, "data");
      const [left = ""] = await readdir(work);
      const marker = join(work, left, "server.mjs");
      const [server] = await running(marker);
      if (server === undefined) throw new Error("the server does not run");
      await using living = await claimDirectory(work, "living");
      expect(await reapSandboxes(work)).toEqual([]);
      agent.kill("SIGKILL");
      await once(agent, "exit");
      expect(await reapSandboxes(work)).toEqual([left]);
      await vi.waitFor(async () => expect(await isAlive(server)).toBe(false), 90_000);
      expect(await readdir(work)).toEqual([living.path.slice(work.length + 1)]);
      expect(await reapSandboxes(work)).toEqual([]);
    });
  }
});

describe("what is hidden", () => {
  test("keeps what is asked for, once, and covers sockets that stay visible", () => {
    expect(
      planHiding({
        hide: ["/run", "/tmp", "/tmp/deep", "/srv/kept/below"],
        keep: ["/tmp/sandbox", "/tmp/sandbox/inner", "/srv/kept"],
        sockets: ["/run/db.sock", "/tmp/sandbox/theirs", "/tmp/sp-1/own", "/opt/other.sock"],
        own: "/tmp/sp-1",
      }),
    ).toEqual({
      directories: [
        { path: "/run", mode: "0755", visible: [] },
        { path: "/tmp", mode: "1777", visible: ["/tmp/sandbox"] },
      ],
      sockets: ["/tmp/sandbox/theirs", "/opt/other.sock"],
    });
  });

  test("the kernel's list of sockets gives paths alone", () => {
    const table = `Num       RefCount Protocol Flags    Type St Inode Path
0000000000000000: 00000002 00000000 00010000 0001 01 26157 /run/with space.sock
0000000000000000: 00000002 00000000 00010000 0001 01 26158 @abstract
0000000000000000: 00000003 00000000 00000000 0001 03 26159`;
    expect(socketPaths(table)).toEqual(["/run/with space.sock"]);
  });
});

/** Processes of this machine whose command names a file. */
async function running(file: string) {
  const found = await Promise.all(
    (await readdir("/proc"))
      .filter((name) => /^\d+$/.test(name))
      .map(async (pid) => {
        // A process may end while it is looked at.
        const command = await readFile(`/proc/${pid}/cmdline`, "latin1").catch(() => "");
        return command.split("\0")[1] === file ? await processIdentity(Number(pid)) : undefined;
      }),
  );
  return found.filter((each) => each !== undefined);
}
