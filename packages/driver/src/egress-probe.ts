import { Resolver } from "node:dns/promises";
import { connect } from "node:net";
import type { EgressResult } from "./driver.ts";

/** Tries every address at once from where this process is: `host:port`, `unix:/path`, `dns:name`. */
export async function probeEgress(addresses: readonly string[], timeoutMs: number): Promise<EgressResult[]> {
  return await Promise.all(addresses.map((address) => probe(address, timeoutMs)));
}

async function probe(address: string, timeoutMs: number): Promise<EgressResult> {
  try {
    return { address, reached: true, detail: await attempt(address, timeoutMs) };
  } catch (error) {
    return { address, reached: false, detail: error instanceof Error ? error.message : String(error) };
  }
}

async function attempt(address: string, timeoutMs: number): Promise<string> {
  if (address.startsWith("dns:")) {
    // Asks the name servers, never the hosts file: only an answer from outside counts.
    const answers = await new Resolver({ timeout: timeoutMs, tries: 1 }).resolve4(address.slice("dns:".length));
    return `resolved to ${answers.join(", ")}`;
  }
  if (address.startsWith("unix:")) return await connected({ path: address.slice("unix:".length) }, timeoutMs);
  const { host, port } = splitAddress(address);
  return await connected({ host, port }, timeoutMs);
}

/** `host:port` or `[v6]:port`. */
export function splitAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(address);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined) throw new TypeError(`${address} is not host:port, unix:/path or dns:name`);
  return { host, port: Number(match?.[3]) };
}

function connected(to: { host: string; port: number } | { path: string }, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket = connect({ ...to, timeout: timeoutMs });
  socket.once("connect", () => resolve("connected"));
  socket.once("timeout", () => reject(new Error(`no answer within ${timeoutMs} ms`)));
  socket.once("error", reject);
  return promise.finally(() => socket.destroy());
}
