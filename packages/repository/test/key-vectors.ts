import { decodeTwoLines, encodeTwoLines, macOf } from "../src/format/authenticated-text.ts";
import {
  type Config,
  DEFAULT_CHUNKING,
  type Epoch,
  epoch,
  type KeySlot,
  readDocument,
  type SlotMethods,
} from "../src/format/documents.ts";
import { deriveKey, LABELS } from "../src/keys/derive.ts";
import { encodeEpoch } from "../src/keys/epoch-chain.ts";
import { encodeSlot, type MasterKey } from "../src/keys/key-slot.ts";
import type { SlotMethod } from "../src/keys/opener.ts";
import { NOW, randomFrom, SCRYPT_COST } from "./trial.ts";

const hex = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const REPOSITORY_ID = "019b7ca9-8f2e-73f7-a0af-ed9cf3aee824";
const RECIPIENT = "age1cy0su9fwf3gf9mw868g5yut09p6nytfmmnktexz2ya5uqg9vl9sss4euqm";

/** What each method keeps in a slot; what is wrapped is any bytes, for it is opened by others. */
const METHODS: { method: SlotMethod; type: KeySlot["type"]; fields: SlotMethods; secretLength: number }[] = [
  {
    method: "passphrase",
    type: "opener",
    fields: { scrypt: { ...SCRYPT_COST, salt: "5a".repeat(32) } },
    secretLength: 32,
  },
  {
    method: "aws-kms",
    type: "opener",
    fields: {
      kms: {
        keyArn: "arn:aws:kms:eu-central-1:111122223333:key/0d9c7a2e-5d1a-4c11-8f1e-7a8b2c3d4e5f",
        context: { tenant: "blue" },
        wrapped: "AQIDBAUG",
      },
    },
    secretLength: 32,
  },
  {
    method: "vault-transit",
    type: "opener",
    fields: {
      transit: { address: "https://vault:8200", mount: "transit", key: "backup", wrapped: "vault:v1:AQIDBAUG" },
    },
    secretLength: 32,
  },
  {
    method: "age",
    type: "opener",
    fields: { age: { recipient: RECIPIENT, wrapped: "AQIDBAUG" } },
    // 32 bytes and the identity's 74.
    secretLength: 106,
  },
  { method: "age", type: "escrow", fields: { age: { recipient: RECIPIENT, wrapped: "AQIDBAUG" } }, secretLength: 32 },
];

export type KeyVectors = {
  repositoryId: string;
  master: string;
  repositoryKey: string;
  slots: { method: SlotMethod; name: string; object: string; secret: string; slotKey: string }[];
  /** A second repository key, whose epoch leads back to the first. */
  next: { master: string; repositoryKey: string; previousKey: string };
  config: string;
  /** `key`: what chunks and objects of the epoch are sealed under. */
  epochs: { name: string; object: string; key: string }[];
};

export function epochOf(name: string, bytes: Uint8Array): Epoch {
  return readDocument(epoch, name, decodeTwoLines(name, bytes).line);
}

/** Slots of every method, and two epochs: no object of a whole repository, for key services cannot be asked here. */
export async function keyVectors(): Promise<KeyVectors> {
  const random = randomFrom("key vectors");
  const master: MasterKey = { master: "019b7ca98f2eb3f7a0afed9cf3aee824", key: random(32) };
  const slots: KeyVectors["slots"] = [];
  for (const { method, type, fields, secretLength } of METHODS) {
    const secret = random(secretLength);
    const sealer = { method, shown: method, seal: async () => ({ fields, secret }) };
    const place = { repositoryId: REPOSITORY_ID, siblings: [], random, nowMs: NOW };
    const made = await encodeSlot(master, sealer, { type, label: `the ${type} by ${method}`, ...place });
    slots.push({
      method,
      name: made.name,
      object: made.bytes.toString("utf8"),
      secret: hex(secret),
      slotKey: hex(deriveKey(secret, Buffer.from(made.document.slot, "hex"), LABELS.slot(method))),
    });
  }
  const next: MasterKey = { master: "019b7ca98f2f00000000000000000002", key: random(32) };
  const document: Config = {
    format: "stillpoint-repository",
    version: 1,
    repositoryId: REPOSITORY_ID,
    master: master.master,
    chunking: DEFAULT_CHUNKING,
    createdAt: "2026-01-02T03:04:05.678Z",
  };
  const mac = macOf(master.key, REPOSITORY_ID, "config", Buffer.from(JSON.stringify(document)));
  const config = encodeTwoLines(document, mac);
  const first = encodeEpoch(master, REPOSITORY_ID, random, NOW);
  const before = { name: first.name, bytes: first.bytes, document: epochOf(first.name, first.bytes) };
  const second = encodeEpoch(next, REPOSITORY_ID, random, NOW, { master, epoch: before, config });
  return {
    repositoryId: REPOSITORY_ID,
    master: master.master,
    repositoryKey: hex(master.key),
    slots,
    next: {
      master: next.master,
      repositoryKey: hex(next.key),
      previousKey: hex(deriveKey(next.key, Buffer.from(next.master, "hex"), LABELS.previous)),
    },
    config: config.toString("utf8"),
    epochs: [
      { ...first, master },
      { ...second, master: next },
    ].map(({ name, bytes, master: { key } }) => ({
      name,
      object: bytes.toString("utf8"),
      key: hex(deriveKey(key, Buffer.from(epochOf(name, bytes).salt, "hex"), LABELS.epoch)),
    })),
  };
}
