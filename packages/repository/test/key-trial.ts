import { writeFile } from "node:fs/promises";
import { Secret } from "@stillpoint/contracts/secret";
import { memoryStore } from "@stillpoint/object-store/memory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openKeys } from "../src/keys/key-context.ts";
import type { Opener } from "../src/keys/opener.ts";
import { passphraseOpener, type Stretch, stretchByScrypt } from "../src/keys/passphrase.ts";
import { makeRepository, NOW, PASSPHRASE, randomFrom, SCRYPT_COST } from "./trial.ts";

export const DAY_MS = 86_400_000;

/** A passphrase that costs little, and counts how often it was stretched. */
export function cheap(text: string): Opener & { derivations: () => number } {
  let count = 0;
  const stretch: Stretch = (passphrase, stretching) => {
    count++;
    return stretchByScrypt(passphrase, stretching);
  };
  return { ...passphraseOpener(new Secret(text), { cost: SCRYPT_COST, stretch }), derivations: () => count };
}

export const FIRST = PASSPHRASE.reveal();

let seeds = 0;
export const work = (now: () => number = () => NOW) => ({ random: randomFrom(`keys ${++seeds}`), now, by: "alice" });

/** A new repository in memory, opened for work on its slots with its first passphrase. */
export async function keyTrial(store: ObjectStore = memoryStore(() => NOW)) {
  await makeRepository(store);
  const context = await openKeys(store, cheap(FIRST), work());
  return { store, context, reopen: (opener: Opener = cheap(FIRST)) => openKeys(store, opener, work()) };
}

export async function keyFile(path: string, content: string, mode = 0o600): Promise<string> {
  await writeFile(path, `${content}\n`, { mode });
  return path;
}
