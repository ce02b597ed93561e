import { toInstant } from "@stillpoint/contracts/names";
import { addSlot } from "./add-slot.ts";
import type { KeyContext } from "./key-context.ts";
import { newSheetPassphrase } from "./new-passphrase.ts";
import { type PassphraseOptions, passphraseOpener } from "./passphrase.ts";

/** `url`: as a person gives it to the command, without credentials. */
export type SheetOptions = { url: string; label?: string | undefined; passphrase?: PassphraseOptions };

/**
 * Makes a passphrase that is nowhere but on the sheet, a slot for it, and the text of the sheet. A second one has another
 * passphrase: the first is known to nobody here.
 */
export async function exportSheet(
  context: KeyContext,
  options: SheetOptions,
): Promise<{ slot: string; sheet: string }> {
  const passphrase = newSheetPassphrase(context.random);
  const opener = passphraseOpener(passphrase, options.passphrase);
  const { slot } = await addSlot(context, opener, { type: "opener", label: options.label, sheet: true });
  return {
    slot,
    sheet: sheetText({
      repositoryId: context.ring.repositoryId,
      url: options.url,
      slot,
      passphrase: passphrase.reveal(),
      signingKey: context.ring.signing.publicKey,
      printedAt: toInstant(context.now()),
    }),
  };
}

type Sheet = {
  repositoryId: string;
  url: string;
  slot: string;
  passphrase: string;
  signingKey: string;
  printedAt: string;
};

/** Pure. */
export function sheetText({ repositoryId, url, slot, passphrase, signingKey, printedAt }: Sheet): string {
  return `STILLPOINT RECOVERY SHEET
=========================

Who has this sheet and the objects of the repository can restore every backup in it.
Keep it where a safe is: apart from the machines that are backed up, and not as a file.

Repository   ${repositoryId}
Where        ${url}
             (its credentials are not on this sheet: keep them, or a copy of the objects, elsewhere)
Passphrase   ${passphrase}
Key slot     ${slot}
Signing key  ${signingKey}
Printed      ${printedAt}

TO RESTORE, with Stillpoint:
  1. Put the passphrase into a file, exactly as it stands above, and:  chmod 600 sheet.key
  2. stillpoint points --repository '${url}' --key-file sheet.key
  3. stillpoint restore <point> --repository '${url}' --key-file sheet.key --to /an/empty/directory

TO RESTORE, without Stillpoint (Python 3):
  1. Copy all objects of the repository into a directory.
  2. Take docs/restore.py out of Stillpoint's source; what it needs stands at its beginning.
  3. python3 restore.py --help     shows how to list points and to restore one; it asks for the passphrase.

WHEN THIS SHEET IS LOST, or somebody else may have seen it:
  stillpoint key export            prints a new one, with another passphrase
  stillpoint key remove ${slot}
  If it may have been seen by somebody who can read the repository:  stillpoint key new-epoch
`;
}
