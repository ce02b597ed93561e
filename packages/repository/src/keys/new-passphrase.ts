import { Secret } from "@stillpoint/contracts/secret";

/** For a file: 256 random bits. */
export function newPassphrase(random: (length: number) => Uint8Array): Secret {
  return new Secret(Buffer.from(random(32)).toString("base64url"));
}

/** Without I, L, O and U: nobody takes one for another, or reads a word. */
const SHEET_LETTERS = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/** For paper: 160 random bits in eight groups of four letters. */
export function newSheetPassphrase(random: (length: number) => Uint8Array): Secret {
  const letters = [...random(32)].map((byte) => SHEET_LETTERS[byte % 32] ?? "").join("");
  return new Secret(letters.match(/.{4}/g)?.join("-") ?? letters);
}
