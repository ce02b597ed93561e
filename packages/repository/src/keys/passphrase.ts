import { scrypt } from "node:crypto";
import { promisify } from "node:util";
import type { Secret } from "@stillpoint/contracts/secret";
import type { KeySlot } from "../format/documents.ts";
import type { Opener } from "./opener.ts";

const runScrypt = promisify<string, Uint8Array, number, { N: number; r: number; p: number; maxmem: number }, Buffer>(
  scrypt,
);

export type ScryptCost = { n: number; r: number; p: number };
/** 128 MiB and some tenths of a second for each guess. */
export const SCRYPT_COST: ScryptCost = { n: 131_072, r: 8, p: 1 };

type Stretching = NonNullable<KeySlot["scrypt"]>;
/** What makes a guess expensive. */
export type Stretch = (passphrase: string, stretching: Stretching) => Promise<Uint8Array>;

export const stretchByScrypt: Stretch = (passphrase, { n, r, p, salt }) =>
  runScrypt(passphrase, Buffer.from(salt, "hex"), 32, { N: n, r, p, maxmem: 128 * n * r * 2 });

export type PassphraseOptions = { cost?: ScryptCost; stretch?: Stretch };

/**
 * The slots of one repository key share a salt, so that a passphrase, and a wrong one too, is stretched once however many
 * slots there are; each slot's own key is derived from that with the slot's id.
 */
export function passphraseOpener(
  passphrase: Secret,
  { cost = SCRYPT_COST, stretch = stretchByScrypt }: PassphraseOptions = {},
): Opener {
  const stretched = new Map<string, Promise<Uint8Array>>();
  const secretOf = (stretching: Stretching): Promise<Uint8Array> => {
    const { n, r, p, salt } = stretching;
    const key = [n, r, p, salt].join(" ");
    const known = stretched.get(key) ?? stretch(passphrase.reveal(), stretching);
    stretched.set(key, known);
    return known;
  };
  return {
    method: "passphrase",
    shown: "a passphrase",
    async seal({ siblings, random }) {
      const salt =
        siblings.find(({ scrypt: at }) => at?.n === cost.n && at.r === cost.r && at.p === cost.p)?.scrypt?.salt ??
        Buffer.from(random(32)).toString("hex");
      const stretching = { ...cost, salt };
      return { fields: { scrypt: stretching }, secret: await secretOf(stretching) };
    },
    open: async (slot) => (slot.scrypt === undefined ? undefined : secretOf(slot.scrypt)),
  };
}
