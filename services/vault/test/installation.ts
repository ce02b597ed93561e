import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";

/** NATS, a repository in a directory of its own, and what a vault of it is set to; no vault runs yet. */
export async function installation(name: string) {
  const stack = new AsyncDisposableStack();
  const nats = stack.use(await ownNats());
  const bus = stack.use(await testBus(nats));
  const directory = stack.use(await temporaryDirectory(name));
  const path = join(directory.path, "repository");
  const passphrase = new Secret("correct horse");
  const keyFile = join(directory.path, "key");
  await writeFile(keyFile, "correct horse", { mode: 0o600 });
  await mkdir(path);
  const store = stack.use(await openObjectStore(path, { environment: {} }));
  await initRepository(store, {
    passphrase,
    random: (count) => randomBytes(count),
    now: Date.now,
    scryptCost: { n: 1024, r: 8, p: 1 },
  });
  const repository = stack.use(await openRepository(store, { passphrase, threads: 1 }));
  const settings = {
    STILLPOINT_REPOSITORY: path,
    STILLPOINT_KEY_FILE: keyFile,
    STILLPOINT_VAULT_PORT: "0",
    STILLPOINT_VAULT_DIRECTORY: join(directory.path, "vault"),
  };
  return {
    nats,
    bus,
    directory: directory.path,
    path,
    store,
    repository,
    settings,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
