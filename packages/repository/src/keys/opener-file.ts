import type { Secret } from "@stillpoint/contracts/secret";
import { readKeyFile } from "../key-file.ts";
import { ageIdentity, identityIn } from "./age.ts";
import type { Opener } from "./opener.ts";
import { type PassphraseOptions, passphraseOpener } from "./passphrase.ts";

/** `escrow`: the identity is the holder's of an escrow slot. */
export type FileOptions = PassphraseOptions & { escrow?: boolean };

/** What the content of a key file opens with: an age identity if that is what it is, else it is a passphrase. */
export async function openerFromContent(content: Secret, options: FileOptions = {}): Promise<Opener> {
  const identity = identityIn(content);
  return identity === undefined ? passphraseOpener(content, options) : ageIdentity(identity, options);
}

export async function openerFromFile(path: string, options: FileOptions = {}): Promise<Opener> {
  const opener = await openerFromContent(await readKeyFile(path), options);
  return { ...opener, shown: `${opener.shown} in ${path}` };
}
