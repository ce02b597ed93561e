import { randomBytes } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { makeKeyFile } from "../src/make-key-file.ts";

/**
 * A repository where `startSystem` looks for one. Each process that opens it, and a test opens it many times, would
 * otherwise take half a second of CPU and 128 MiB to stretch its passphrase.
 */
export async function makeQuickRepository(directory: string): Promise<void> {
  const repository = join(directory, "repository");
  const keyFile = join(directory, "repository.key");
  await mkdir(repository, { recursive: true });
  await makeKeyFile(keyFile);
  await using store = await openObjectStore(repository, { environment: {} });
  await initRepository(store, {
    passphrase: await readKeyFile(keyFile),
    scryptCost: { n: 1024, r: 8, p: 1 },
    random: randomBytes,
    now: Date.now,
  });
}
