import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import { json } from "node:stream/consumers";
import { errorBody, StillpointError } from "@stillpoint/contracts/errors";
import { inject } from "vitest";
import type { z } from "zod";

declare module "vitest" {
  interface ProvidedContext {
    /** The address of this run's shared servers; it holds a secret, for they run on a machine of many users. */
    sharedServers: string;
  }
}

/** The facts of a shared server, which is started by the first who asks. */
export async function askShared<Facts>(name: string, facts: z.ZodType<Facts>): Promise<Facts> {
  return facts.parse(await json(await post(`start/${name}`)));
}

/** Waits until nobody else has the lock, and holds it until disposed or until this process ends. */
export async function lockShared(name: string): Promise<AsyncDisposable> {
  const held = await post(`lock/${name}`);
  return {
    async [Symbol.asyncDispose]() {
      held.destroy();
      if (!held.closed) await once(held, "close");
    },
  };
}

async function post(path: string): Promise<IncomingMessage> {
  // Not fetch: a lock's answer stays open as long as it is held, and fetch gives up on a body that is silent.
  const asked = request(`${inject("sharedServers")}/${path}`, { method: "POST", agent: false });
  asked.end();
  const [response] = (await once(asked, "response")) as [IncomingMessage];
  if (response.statusCode !== 200) throw StillpointError.fromBody(errorBody.parse(await json(response)));
  return response;
}
