import { createHash } from "node:crypto";

const ITERATIONS = 1024;

/** The line of an `auth.ini` that gives a server which has no users yet its first one. `salt`: 32 random bytes. */
export function firstUserLine(user: string, password: string, salt: Uint8Array): string {
  let hash = createHash("sha256").update(salt).update(password).digest();
  for (let done = 1; done < ITERATIONS; done += 1) hash = createHash("sha256").update(hash).digest();
  return `${user}:SHA-256,${hash.toString("hex")},${Buffer.from(salt).toString("hex")},${ITERATIONS}:\n`;
}
