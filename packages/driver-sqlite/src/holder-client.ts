import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import { SYSTEM_CALL_FLAGS } from "@stillpoint/direct-io/system-calls";
import { type Answer, type Ask, type Operation, operations, reply } from "./holder-messages.ts";
import { sourceError } from "./source-error.ts";

export interface Holder extends AsyncDisposable {
  ask<Name extends Operation>(operation: Name, ask: Ask<Name>): Promise<Answer<Name>>;
}

/**
 * Starts the process that opens a source's databases. Nothing here ever does: POSIX locks belong to a process, and
 * closing any descriptor of a file drops all that it has on it. Disposal ends the process, and with it every lock and
 * transaction.
 */
export async function startHolder(signal: AbortSignal): Promise<Holder> {
  signal.throwIfAborted();
  const child = fork(fileURLToPath(new URL("./holder.ts", import.meta.url)), [], {
    execArgv: [...SYSTEM_CALL_FLAGS],
    env: { NODE_COMPILE_CACHE: process.env.NODE_COMPILE_CACHE }, // half of what its start takes
    stdio: ["ignore", "ignore", "inherit", "ipc"],
  });
  const waiting = new Map<number, { operation: Operation; path: string } & PromiseWithResolvers<unknown>>();
  const gone = Promise.withResolvers<void>();
  let ids = 0;
  let isGone = false;
  const lose = () => {
    isGone = true;
    for (const each of waiting.values()) each.reject(lost());
    waiting.clear();
    gone.resolve();
  };
  child.once("error", lose);
  child.once("exit", lose);
  child.on("message", (message) => {
    const { id, answer, failure } = reply.parse(message);
    const asked = waiting.get(id);
    waiting.delete(id);
    if (failure === undefined) asked?.resolve(answer);
    else if (asked !== undefined) void sourceError(failure, asked.path).then(asked.reject, asked.reject);
  });
  const kill = () => child.kill("SIGKILL");
  signal.addEventListener("abort", kill, { once: true });

  return {
    async ask(operation, ask) {
      signal.throwIfAborted();
      if (isGone) throw lost();
      ids += 1;
      const path = "path" in ask ? ask.path : ask.paths.join(", ");
      const answer = { operation, path, ...Promise.withResolvers<unknown>() };
      waiting.set(ids, answer);
      child.send({ id: ids, operation, ask });
      // The operation's own schema gives its own type; TypeScript does not follow the one into the other.
      return operations[operation].answer.parse(await answer.promise) as Answer<typeof operation>;
    },
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", kill);
      kill();
      await gone.promise;
    },
  };
}

function lost(): StillpointError {
  return new StillpointError("SOURCE_LOST", {
    what: "Lost hold of the databases",
    why: "the process that held them ended",
  });
}
