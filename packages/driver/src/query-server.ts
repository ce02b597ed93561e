import { connect } from "node:net";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext, Sandbox } from "./driver.ts";
import { isolate } from "./isolation.ts";
import { lastWords } from "./last-words.ts";
import { askOverSocket } from "./query-socket.ts";

export type QueryServerInput = {
  /** A program of ours, with the arguments directory and socket, that ends in `serveQueries`. */
  program: string;
  /** The laid-out tree. */
  directory: string;
  context: DriverContext;
};

/** Runs a program of ours in a sandbox, for kinds that have no server of their own, once it answers. */
export async function startQueryServer({
  program,
  directory,
  context,
}: QueryServerInput): Promise<Pick<Sandbox, "query" | "probeEgress"> & AsyncDisposable> {
  await using failed = new AsyncDisposableStack();
  const isolation = failed.use(
    await isolate({
      directory: context.directory,
      keep: [directory],
      open: context.tools.openSandboxes,
      signal: context.signal,
    }),
  );
  const socket = join(isolation.sockets, "queries");
  const output = join(context.directory, "server.log");
  const server = await isolation.spawn(process.execPath, [program, directory, socket], { output });
  let ended = false;
  void server.exited.then(() => {
    ended = true;
  });
  while (!(await answers(socket))) {
    if (ended) {
      throw new StillpointError("SANDBOX_FAILED", {
        what: "Cannot open what was restored",
        where: directory,
        why: await lastWords(output),
      });
    }
    await delay(5, undefined, { signal: context.signal });
  }
  const running = failed.move();
  return {
    query: (query) => askOverSocket(socket, query),
    probeEgress: isolation.probeEgress,
    async [Symbol.asyncDispose]() {
      await running.disposeAsync();
    },
  };
}

async function answers(path: string): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>();
  const socket = connect({ path });
  socket.once("connect", () => resolve(true));
  // Not yet there, or not yet listening.
  socket.once("error", () => resolve(false));
  return await promise.finally(() => socket.destroy());
}
