import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { Decrypter, Encrypter, generateX25519Identity, identityToRecipient } from "age-encryption";
import { objectDamaged } from "../format/damage.ts";
import type { Opener, Sealer, SlotPlace } from "./opener.ts";

const RECIPIENT = /^age1[02-9ac-hj-np-z]{58}$/;
const IDENTITY = /^AGE-SECRET-KEY-1[02-9AC-HJ-NP-Z]{58}$/;
const SECRET_LENGTH = 32;

async function wrap(recipient: string, { random }: SlotPlace) {
  const secret = random(SECRET_LENGTH);
  const encrypter = new Encrypter();
  encrypter.addRecipient(recipient);
  const wrapped = Buffer.from(await encrypter.encrypt(secret)).toString("base64");
  return { fields: { age: { recipient, wrapped } }, secret };
}

function badRecipient(recipient: string, cause?: unknown): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: "That is no age recipient",
    where: recipient,
    why: "an X25519 recipient is `age1` and 58 characters",
    hint: "`age-keygen -y <identity file>` prints it",
    cause,
  });
}

/** For escrow: who makes the slot cannot open it, only who holds the recipient's identity. */
export async function ageRecipient(recipient: string): Promise<Sealer> {
  if (!RECIPIENT.test(recipient)) throw badRecipient(recipient);
  const encrypter = new Encrypter();
  try {
    encrypter.addRecipient(recipient);
    await encrypter.encrypt(new Uint8Array(1)); // a point that nobody can have a key for shows only now
  } catch (error) {
    throw badRecipient(recipient, error);
  }
  return { method: "age", shown: `age recipient ${recipient}`, seal: (place) => wrap(recipient, place) };
}

/** The identity in the content of a file as age-keygen writes it; undefined where it is no such file. */
export function identityIn(content: Secret): Secret | undefined {
  const lines = content
    .reveal()
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "" && !line.startsWith("#"));
  const [line, ...more] = lines;
  return line !== undefined && more.length === 0 && IDENTITY.test(line) ? new Secret(line) : undefined;
}

export async function newIdentity(): Promise<Secret> {
  return new Secret(await generateX25519Identity());
}

/**
 * Opens slots that were made with the identity. A recipient is public, so an opener slot's secret has the identity in it:
 * nobody else can make one. With `escrow` it opens those that were made for its recipient instead; anybody can make such a
 * slot, and a whole repository for it, so only a person who compares the signing key afterwards asks for that.
 */
export async function ageIdentity(identity: Secret, { escrow = false } = {}): Promise<Opener> {
  const recipient = await identityToRecipient(identity.reveal()).catch((cause: unknown) => {
    throw new StillpointError("KEY_UNREADABLE", {
      what: "Cannot use the age identity",
      why: "it is mistyped: its checksum does not fit",
      cause,
    });
  });
  const own = Buffer.from(identity.reveal(), "utf8");
  return {
    method: "age",
    shown: `the identity of ${recipient}${escrow ? " (escrow)" : ""}`,
    async seal(place) {
      const { fields, secret } = await wrap(recipient, place);
      return { fields, secret: escrow ? secret : Buffer.concat([secret, own]) };
    },
    async open(slot) {
      if (slot.age?.recipient !== recipient || (slot.type === "escrow") !== escrow) return undefined;
      const decrypter = new Decrypter();
      decrypter.addIdentity(identity.reveal());
      const secret = await decrypter.decrypt(Buffer.from(slot.age.wrapped, "base64")).catch((cause: unknown) => {
        throw objectDamaged(`keys/${slot.slot}`, "what was sealed for the identity does not open", cause);
      });
      if (secret.length !== SECRET_LENGTH) throw objectDamaged(`keys/${slot.slot}`, "its secret has another length");
      return escrow ? secret : Buffer.concat([secret, own]);
    },
  };
}
