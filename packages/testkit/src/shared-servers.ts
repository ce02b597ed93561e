import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { createServer, type ServerResponse } from "node:http";
import { join } from "node:path";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { LockQueue } from "./lock-queue.ts";
import { starters } from "./shared-server-starters.ts";
import { temporaryDirectory } from "./temporary-directory.ts";

/**
 * Starts servers for test files that run in processes of their own: each on its first request, once for the whole run.
 * Disposing stops all that were started, also those whose start is still under way.
 */
export async function serveSharedServers(): Promise<AsyncDisposable & { readonly url: string }> {
  await using resources = new AsyncDisposableStack();
  const directory = resources.use(await temporaryDirectory("shared"));
  const started = new Map<string, Promise<{ facts: object } & AsyncDisposable>>();
  resources.defer(async () => {
    const servers = await Promise.allSettled(started.values());
    await Promise.all(servers.map((s) => (s.status === "fulfilled" ? s.value[Symbol.asyncDispose]() : undefined)));
  });
  const locks = new LockQueue();
  const secret = randomBytes(16).toString("hex");

  async function answer(path: string, response: ServerResponse): Promise<void> {
    const [, given, verb, name = ""] = path.split("/");
    const starter = starters[name];
    if (given !== secret || starter === undefined)
      throw new StillpointError("NOT_FOUND", { what: "No such server", where: name });
    if (verb === "lock") {
      const release = await locks.take(name);
      response.on("close", release);
      if (response.closed) return release();
      response.writeHead(200).flushHeaders();
      return;
    }
    const dir = join(directory.path, name);
    const server = started.get(name) ?? mkdir(dir).then(() => starter(dir));
    started.set(name, server);
    const { facts } = await server; // before a word of success is said
    response.writeHead(200).end(JSON.stringify(facts));
  }

  const http = createServer((asked, response) => {
    answer(asked.url ?? "", response).catch((error: unknown) => {
      response.writeHead(500).end(JSON.stringify(toStillpointError(error, "Cannot start a shared server").toBody()));
    });
  });
  http.listen(0, "127.0.0.1");
  await once(http, "listening");
  resources.defer(async () => {
    http.close();
    http.closeAllConnections();
  });
  const address = http.address();
  if (address === null || typeof address === "string") throw new Error("the control server has no port");
  const url = `http://127.0.0.1:${address.port}/${secret}`;
  const held = resources.move();
  return { url, [Symbol.asyncDispose]: () => held.disposeAsync() };
}
