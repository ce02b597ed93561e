import { randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { addSlot } from "@stillpoint/repository/keys/add-slot";
import { ageIdentity, ageRecipient, newIdentity } from "@stillpoint/repository/keys/age";
import { openKeys } from "@stillpoint/repository/keys/key-context";
import { beginEpoch, planEpoch } from "@stillpoint/repository/keys/new-epoch";
import type { Opener } from "@stillpoint/repository/keys/opener";
import { passphraseOpener } from "@stillpoint/repository/keys/passphrase";
import { identityToRecipient } from "age-encryption";
import { GOLDEN_AT } from "./golden-points.ts";
import { IN_GOLDEN } from "./places.ts";

const WORK = {
  random: (length: number) => new Uint8Array(randomBytes(length)),
  now: () => Date.parse(GOLDEN_AT),
  by: "alice",
};
const SECOND = "another passphrase of the golden repository";

/** A slot of every method that needs no server, with its secret in a file beside the repository. Gives what opens them. */
export async function addSlots(store: ObjectStore, to: string, passphrase: Secret): Promise<Opener[]> {
  const write = (name: string, text: string) => writeFile(join(to, name), `${text}\n`);
  const context = await openKeys(store, passphraseOpener(passphrase), WORK);
  await write(IN_GOLDEN.secondPassphrase, SECOND);
  const second = passphraseOpener(new Secret(SECOND));
  await addSlot(context, second, { type: "opener", label: "second" });
  const identity = await newIdentity();
  await write(IN_GOLDEN.identity, identity.reveal());
  const age = await ageIdentity(identity);
  await addSlot(context, age, { type: "opener", label: "machine" });
  const escrow = await newIdentity();
  await write(IN_GOLDEN.escrowIdentity, escrow.reveal());
  const recipient = await ageRecipient(await identityToRecipient(escrow.reveal()));
  await addSlot(context, recipient, { type: "escrow", label: "notary" });
  return [second, age];
}

/** All slots are made anew for it, and those before are retired. */
export async function beginFurtherEpoch(store: ObjectStore, passphrase: Secret, openers: Opener[]): Promise<void> {
  const context = await openKeys(store, passphraseOpener(passphrase), WORK);
  await beginEpoch(context, await planEpoch(context, { openers, without: [] }));
}
