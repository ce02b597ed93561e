import { z } from "zod";

const word = z.number().int().nonnegative().max(0xffffffff);
export const checksum = z.tuple([word, word]);

/** A place in one database's log: its generation, by the salts, and so many frames of it. */
export const walAddress = z.object({ salts: checksum, frames: word });
export type WalAddress = z.infer<typeof walAddress>;

export function isSameGeneration(a: WalAddress, b: WalAddress): boolean {
  return a.salts[0] === b.salts[0] && a.salts[1] === b.salts[1];
}

export function isSameAddress(a: WalAddress, b: WalAddress): boolean {
  return isSameGeneration(a, b) && a.frames === b.frames;
}
