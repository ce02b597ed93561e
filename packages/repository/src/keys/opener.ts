import type { KeySlot, SlotMethods } from "../format/documents.ts";

export type SlotMethod = "passphrase" | "aws-kms" | "vault-transit" | "age";

/** What a slot is sealed for. */
export type SlotPlace = {
  slot: string;
  repositoryId: string;
  /** Slots of the same repository key that were authenticated: a new one may share with them what need not differ. */
  siblings: readonly KeySlot[];
  random: (length: number) => Uint8Array;
};

/** Can make a slot. What has a public part only, such as an age recipient, can do no more. */
export interface Sealer {
  readonly method: SlotMethod;
  /** For people; never a secret. */
  readonly shown: string;
  /** The secret that the slot's key is derived from, and what the slot must say so that an opener finds it again. */
  seal(place: SlotPlace): Promise<{ fields: SlotMethods; secret: Uint8Array }>;
}

/** Something that a person or a machine has, and that opens slots. */
export interface Opener extends Sealer {
  /**
   * The secret that `seal` gave; undefined where the slot is surely for another. What the slot says is not authenticated
   * yet: nothing of it may decide whom a credential is shown to.
   */
  open(slot: KeySlot, repositoryId: string): Promise<Uint8Array | undefined>;
}
