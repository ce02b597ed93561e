import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { startNats } from "@stillpoint/parts/nats-server";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { startPostgres } from "@stillpoint/parts/postgres-server";
import { descendants, isAlive } from "@stillpoint/parts/process-tree";
import { expect, test, vi } from "vitest";
import { PARTS_DIRECTORY, temporaryDirectory } from "./directories.ts";
import { runProgram } from "./run-program.ts";

const options = { directory: PARTS_DIRECTORY };

test("a NATS server is gone after its scope", async () => {
  await using directory = await temporaryDirectory();
  let pid: number;
  {
    await using server = await startNats({ part: await ensureNats(options), dir: directory.path });
    pid = server.pid;
    expect(await isAlive(pid)).toBe(true);
  }
  expect(await isAlive(pid)).toBe(false);
});

test("a PostgreSQL server is gone after its scope, with all its processes and its socket", async () => {
  await using directory = await temporaryDirectory();
  let pids: number[];
  {
    await using server = await startPostgres({ part: await ensurePostgres(options), dir: directory.path });
    pids = [server.pid, ...(await descendants(server.pid))];
    expect(pids.length).toBeGreaterThan(3);
    expect(await readdir(server.socketDirectory)).toContain(`.s.PGSQL.${server.port}`);
  }
  expect(await Promise.all(pids.map(isAlive))).toEqual(pids.map(() => false));
  expect(await readdir(join(directory.path, "socket"))).toEqual([]);
});

test.each([
  ["NATS", "nats", "startNats", "ensureNats"],
  ["PostgreSQL", "postgres", "startPostgres", "ensurePostgres"],
])("a %s server dies with the process that started it, also when that is killed", async (_, name, start, ensure) => {
  await using directory = await temporaryDirectory();
  const parent = runProgram(
    `import { ${ensure} } from "@stillpoint/parts/${name}-part";
     import { ${start} } from "@stillpoint/parts/${name}-server";
     import { descendants } from "@stillpoint/parts/process-tree";
     const [directory, dir] = process.argv.slice(1);
     const server = await ${start}({ part: await ${ensure}({ directory }), dir });
     console.log([server.pid, ...await descendants(server.pid)].join(" "));
     setInterval(() => {}, 1000);`,
    [PARTS_DIRECTORY, directory.path],
  );
  const pids = (await parent.line).split(" ").map(Number);
  parent.child.kill("SIGKILL");
  await vi.waitUntil(async () => !(await Promise.all(pids.map(isAlive))).includes(true), { timeout: 90_000 });
});

test("a server that cannot start says so, with what it wrote", async () => {
  await using directory = await temporaryDirectory();
  const started = startNats({ part: await ensureNats(options), dir: directory.path, settings: "nonsense {" });
  const error = await started.then(
    () => undefined,
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StillpointError)) throw new Error(`it started, or failed otherwise: ${String(error)}`);
  expect(error.code).toBe("UNREACHABLE");
  expect(error.message).toMatch(/NATS did not start.*Parse error/);
});
