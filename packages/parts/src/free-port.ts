import { randomInt } from "node:crypto";
import { once } from "node:events";
import { createServer } from "node:net";

/** What was given lately: a system asks for a dozen ports before the first of its processes listens. */
const given = new Set<number>();
const MOST_REMEMBERED = 1_000;

/**
 * A loopback port that nobody listens on, and that this process was not given lately. Taken from below the range the kernel gives to outgoing connections, so that
 * none of these takes it in the seconds a server needs until it listens.
 */
export async function freePort(): Promise<number> {
  for (let attempt = 0; attempt < 100; attempt++) {
    const port = randomInt(20_000, 32_000);
    if (given.has(port)) continue;
    given.add(port); // before the wait, in which another asks
    const [oldest] = given;
    if (given.size > MOST_REMEMBERED && oldest !== undefined) given.delete(oldest);
    if (await isFree(port)) return port;
  }
  throw new Error("no free port between 20000 and 32000 on 127.0.0.1");
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  server.listen(port, "127.0.0.1");
  try {
    await once(server, "listening");
  } catch {
    return false; // somebody listens there: the answer, not a failure
  }
  server.close();
  await once(server, "close");
  return true;
}
