import { spawn } from "node:child_process";
import { open } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { EgressResult } from "./driver.ts";
import { type IsolationRequest, isolationReply } from "./isolation-messages.ts";
import { lastWords } from "./last-words.ts";

/** Where programs are found, inside and by what goes inside: the environment of this process may hold secrets. */
export const PROGRAM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
/** After this long what does not end by itself is killed. */
const END_TIMEOUT_MS = 10_000;

type Without<Request> = Request extends { id: number } ? Omit<Request, "id"> : never;
type Asked = Without<IsolationRequest>;
type Exit = { code: number | null; signal: string | null };

/** Starts the process inside, by a launcher that shuts it in, and speaks with it. */
export async function startInit(launcher: readonly string[], log: string) {
  const script = fileURLToPath(new URL("./isolation-init.ts", import.meta.url));
  await using output = await open(log, "a", 0o600);
  const [command, ...args] = [...launcher, process.execPath, script];
  const child = spawn(command ?? process.execPath, args, {
    env: { PATH: PROGRAM_PATH },
    // A session of its own: an interrupt at the terminal is for us, and we end it in order.
    detached: true,
    stdio: ["ignore", output.fd, output.fd, "ipc"],
  });
  const answers = new Map<number, PromiseWithResolvers<EgressResult[]>>();
  const exits = new Map<number, PromiseWithResolvers<Exit>>();
  let ids = 0;
  const ended = Promise.withResolvers<void>();

  const lost = async () => {
    const why = await lastWords(log);
    for (const each of answers.values()) each.reject(failed("it ended", why));
    for (const each of exits.values()) each.resolve({ code: null, signal: "SIGKILL" });
    ended.resolve();
  };
  child.once("error", () => void lost());
  child.once("exit", () => void lost());
  child.on("message", (message) => {
    const reply = isolationReply.parse(message);
    if (reply.is === "exited") exits.get(reply.id)?.resolve({ code: reply.code, signal: reply.signal });
    else if (reply.is === "failed") answers.get(reply.id)?.reject(failed(reply.why));
    else answers.get(reply.id)?.resolve(reply.results);
    if (reply.is !== "exited") answers.delete(reply.id);
    else exits.delete(reply.id);
  });

  const send = async (request: Asked, id: number): Promise<EgressResult[]> => {
    const answer = Promise.withResolvers<EgressResult[]>();
    answers.set(id, answer);
    if (child.exitCode !== null || child.signalCode !== null || !child.connected) answer.reject(failed("it ended"));
    else child.send({ ...request, id });
    return await answer.promise;
  };

  return {
    pids: () => (child.pid === undefined ? [] : [child.pid]),
    async ask(request: Asked): Promise<EgressResult[]> {
      ids += 1;
      return await send(request, ids);
    },
    async spawn(request: Extract<Asked, { do: "spawn" }>) {
      ids += 1;
      const id = ids;
      const exit = Promise.withResolvers<Exit>();
      exits.set(id, exit);
      await send(request, id);
      return { id, exited: exit.promise };
    },
    /** Going away is what ends it: it then kills what it started, and a process namespace leaves nothing. */
    async end() {
      if (child.connected) child.disconnect();
      const timer = setTimeout(() => child.kill("SIGKILL"), END_TIMEOUT_MS);
      await ended.promise;
      clearTimeout(timer);
    },
  };
}

function failed(why: string, words = ""): StillpointError {
  return new StillpointError("SANDBOX_FAILED", {
    what: "Cannot run a process in a sandbox",
    why: words === "" ? why : `${why}: ${words}`,
  });
}
