import { createPrivateKey, createPublicKey, type KeyObject, sign, verify } from "node:crypto";
import { objectDamaged } from "../format/damage.ts";
import type { Signed } from "../format/documents.ts";
import { deriveKey, LABELS } from "./derive.ts";

// RFC 8410: what stands before the 32 raw bytes of an Ed25519 key in PKCS #8 and in SubjectPublicKeyInfo.
const PKCS8_HEAD = Buffer.from("302e020100300506032b657004220420", "hex");
const SPKI_HEAD = Buffer.from("302a300506032b6570032100", "hex");

export type SigningKey = { privateKey: KeyObject; publicKey: string };

/** One Ed25519 key for each repository key, derived from it: nothing more has to be kept. */
export function signingKeyOf(masterKey: Uint8Array, repositoryId: string): SigningKey {
  const seed = deriveKey(masterKey, Buffer.from(repositoryId, "utf8"), LABELS.signing);
  const privateKey = createPrivateKey({ key: Buffer.concat([PKCS8_HEAD, seed]), format: "der", type: "pkcs8" });
  const spki = createPublicKey(privateKey).export({ format: "der", type: "spki" });
  return { privateKey, publicKey: spki.subarray(SPKI_HEAD.length).toString("hex") };
}

export function signStatement(key: SigningKey, value: unknown): Signed {
  const statement = JSON.stringify(value);
  const signature = sign(null, Buffer.from(statement, "utf8"), key.privateKey).toString("base64");
  return { statement, signature, signingKey: key.publicKey };
}

/** The statement, if one of the repository's keys signed it. */
export function verifiedStatement(object: string, value: Signed, trusted: readonly string[]): Buffer {
  const statement = Buffer.from(value.statement, "utf8");
  const der = Buffer.concat([SPKI_HEAD, Buffer.from(value.signingKey, "hex")]);
  const key = createPublicKey({ key: der, format: "der", type: "spki" });
  if (!trusted.includes(value.signingKey)) throw objectDamaged(object, "a key that is not this repository's signed it");
  if (!verify(null, statement, key, Buffer.from(value.signature, "base64")))
    throw objectDamaged(object, "its signature does not fit");
  return statement;
}
