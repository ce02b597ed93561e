import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { Secret } from "@stillpoint/contracts/secret";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository, type Repository } from "@stillpoint/repository/repository";

/** A new repository in a directory, for a soak that has no services. */
export async function ownRepository(path: string): Promise<Repository & AsyncDisposable> {
  await mkdir(path);
  const store = await openObjectStore(path, { environment: {} });
  const passphrase = new Secret(randomBytes(16).toString("hex"));
  const random = (length: number) => randomBytes(length);
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  const repository = await openRepository(store, { passphrase, threads: 0 });
  const close = repository[Symbol.asyncDispose].bind(repository);
  return Object.assign(repository, {
    async [Symbol.asyncDispose]() {
      await close();
      await store[Symbol.asyncDispose]();
    },
  });
}
