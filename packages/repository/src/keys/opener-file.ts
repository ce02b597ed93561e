import { readKeyFile } from "../key-file.ts";
import { ageIdentity, identityIn } from "./age.ts";
import type { Opener } from "./opener.ts";
import { type PassphraseOptions, passphraseOpener } from "./passphrase.ts";

/** What a key file opens with: an age identity if that is what is in it, else its content is a passphrase. */
export async function openerFromFile(path: string, options: PassphraseOptions = {}): Promise<Opener> {
  const content = await readKeyFile(path);
  const identity = identityIn(content);
  const opener = identity === undefined ? passphraseOpener(content, options) : await ageIdentity(identity);
  return { ...opener, shown: `${opener.shown} in ${path}` };
}
