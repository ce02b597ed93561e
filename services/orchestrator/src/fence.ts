import { spawn } from "node:child_process";
import { text } from "node:stream/consumers";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Hook } from "@stillpoint/contracts/plan";
import type { Secret } from "@stillpoint/contracts/secret";
import { z } from "zod";

type HookRequest = { verb: "quiesce"; fenceId: string; ttlMs: number } | { verb: "release"; fenceId: string };

export type FenceTransport = {
  secret: (reference: string) => Secret;
  /** Sends bare JSON as a NATS request and gives the parsed JSON of the reply. */
  requestJson: (subject: string, body: unknown, timeoutMs: number) => Promise<unknown>;
};

const quiesceReply = z.object({
  confirmed: z.literal(true),
  /** The application's highest sequence number, where it has one. */
  sequence: z.number().int().nonnegative().optional(),
});
const releaseReply = z.object({ heldThroughout: z.boolean() });

/** Asks the application to be quiet; resolves once it confirmed for all its writers. Throws FENCE_FAILED. */
export async function quiesce(
  hook: Hook,
  fence: { fenceId: string; ttlMs: number },
  transport: FenceTransport,
): Promise<z.infer<typeof quiesceReply>> {
  // A confirmation that comes after the application went on by itself is worth nothing.
  return ask(hook, { verb: "quiesce", ...fence }, fence.ttlMs, transport, quiesceReply);
}

/** Lets the application go on. Changes nothing where the fence is not held, so it is safe to send again. */
export async function release(
  hook: Hook,
  fenceId: string,
  timeoutMs: number,
  transport: FenceTransport,
): Promise<z.infer<typeof releaseReply>> {
  return ask(hook, { verb: "release", fenceId }, timeoutMs, transport, releaseReply);
}

async function ask<Reply extends z.ZodType>(
  hook: Hook,
  body: HookRequest,
  timeoutMs: number,
  transport: FenceTransport,
  reply: Reply,
): Promise<z.infer<Reply>> {
  const where = "http" in hook ? hook.http : "nats" in hook ? hook.nats : hook.command[0];
  try {
    return reply.parse(await send(hook, body, timeoutMs, transport));
  } catch (error) {
    throw new StillpointError("FENCE_FAILED", {
      what: `The application's hook did not answer ${body.verb}`,
      where,
      why: error instanceof Error ? `${error.message}${causeOf(error)}` : String(error),
      hint: "check that the hook is reachable from the orchestrator and answers as docs/guide/fence-hook.md says",
      cause: error,
    });
  }
}

function send(hook: Hook, body: HookRequest, timeoutMs: number, transport: FenceTransport): Promise<unknown> {
  if ("http" in hook) return askByHttp(hook, body, timeoutMs, transport);
  if ("nats" in hook) return transport.requestJson(hook.nats, body, timeoutMs);
  return askByCommand(hook.command, body, timeoutMs);
}

function causeOf(error: Error): string {
  return error.cause instanceof Error ? ` (${error.cause.message})` : "";
}

async function askByHttp(
  hook: { http: string; token?: string | undefined },
  body: HookRequest,
  timeoutMs: number,
  transport: FenceTransport,
): Promise<unknown> {
  const authorization =
    hook.token === undefined ? {} : { authorization: `Bearer ${transport.secret(hook.token).reveal()}` };
  const response = await fetch(hook.http, {
    method: "POST",
    headers: { "content-type": "application/json", ...authorization },
    body: JSON.stringify(body),
    signal: AbortSignal.timeout(timeoutMs),
  });
  const reply = await response.text();
  if (!response.ok) throw new Error(`HTTP ${response.status} ${reply.slice(0, 200)}`);
  return JSON.parse(reply);
}

async function askByCommand(command: string[], body: HookRequest, timeoutMs: number): Promise<unknown> {
  const [program = "", ...args] = command;
  const child = spawn(program, args, { stdio: ["pipe", "pipe", "inherit"], signal: AbortSignal.timeout(timeoutMs) });
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once("error", reject);
    child.once("close", resolve);
  });
  child.stdin.on("error", () => {}); // a program that does not read its input answers all the same, or exits
  child.stdin.end(JSON.stringify(body));
  const [output, code] = await Promise.all([text(child.stdout), exited]);
  if (code !== 0) throw new Error(`exit code ${code}`);
  return JSON.parse(output);
}
