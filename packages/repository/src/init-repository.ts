import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { decodeTwoLines, encodeTwoLines, macOf } from "./format/authenticated-text.ts";
import { type Chunking, type Config, DEFAULT_CHUNKING, type Epoch, epoch, readDocument } from "./format/documents.ts";
import { CONFIG_NAME, epochName, FORMAT_VERSION } from "./format/kinds.ts";
import { openSlots } from "./keys/key-ring.ts";
import { encodePassphraseSlot, type MasterKey, SCRYPT_COST, type ScryptCost } from "./keys/key-slot.ts";
import { signingKeyOf } from "./keys/signing.ts";

export type InitOptions = {
  passphrase: Secret;
  /** Bytes that nobody can guess. */
  random: (length: number) => Uint8Array;
  /** Milliseconds since the epoch. */
  now: () => number;
  chunking?: Chunking;
  /** For tests: the default takes its time on purpose. */
  scryptCost?: ScryptCost;
  /** Nobody else makes this repository now: needed where the storage cannot create a name in one step. */
  soleInitialiser?: boolean;
};

function exists(store: ObjectStore, why: string): StillpointError {
  return new StillpointError("REPOSITORY_EXISTS", {
    what: "Did not make a repository",
    where: store.url,
    why,
    hint: "open it with its passphrase, or choose an empty directory or prefix",
  });
}

/** Puts an object that decides who won; another's that is there already ends this attempt. */
async function claim(store: ObjectStore, name: string, bytes: Uint8Array, why: string): Promise<void> {
  await store.put(name, bytes, { ifAbsent: true }).catch((error: unknown) => {
    throw error instanceof StillpointError && error.code === "OBJECT_EXISTS" ? exists(store, why) : error;
  });
}

async function assertSole(store: ObjectStore, options: InitOptions): Promise<void> {
  if (options.soleInitialiser === true || (await store.createsAtomically())) return;
  throw new StillpointError("CONFLICT", {
    what: "Did not make a repository",
    where: store.url,
    why: "this storage cannot create an object only where there is none, so that two who make a repository at once would spoil it",
    hint: "make sure that nobody else makes one here, and say so with --sole-initialiser",
  });
}

function newEpoch(master: MasterKey, repositoryId: string, options: InitOptions): Epoch {
  return {
    version: FORMAT_VERSION,
    epoch: 1,
    master: master.master,
    salt: Buffer.from(options.random(32)).toString("hex"),
    signingKey: signingKeyOf(master.key, repositoryId).publicKey,
    createdAt: toInstant(options.now()),
  };
}

/** What an earlier attempt left, if this passphrase opens it: epoch 1 is there, the configuration is not. */
async function begun(store: ObjectStore, passphrase: Secret): Promise<MasterKey | "none" | "foreign"> {
  if ((await store.head(epochName(1))) === undefined) return "none";
  const { line } = decodeTwoLines(epochName(1), await store.get(epochName(1)));
  const { opened } = await openSlots(store, passphrase, readDocument(epoch, epochName(1), line).master);
  return opened ?? "foreign";
}

/** Derived from the repository key's name, so that an attempt that is taken up again finds the same. */
function repositoryIdOf(master: MasterKey): string {
  const bytes = Buffer.from(master.master, "hex");
  return uuidv7(bytes.readUIntBE(0, 6), bytes.subarray(6));
}

/**
 * Makes a repository where there is none. The order is slot, epoch, configuration: only the last makes it one, so an
 * attempt that broke off is taken up again by the same passphrase.
 */
export async function initRepository(store: ObjectStore, options: InitOptions): Promise<{ repositoryId: string }> {
  if ((await store.head(CONFIG_NAME)) !== undefined) throw exists(store, "there is a repository already");
  await assertSole(store, options);
  const earlier = await begun(store, options.passphrase);
  if (earlier === "foreign") throw exists(store, "one was begun here, and this passphrase does not open it");
  let master: MasterKey;
  if (earlier === "none") {
    const id = Buffer.from(options.random(16));
    id.writeUIntBE(options.now(), 0, 6);
    master = { master: id.toString("hex"), key: options.random(32) };
    const slot = await encodePassphraseSlot(
      master,
      options.passphrase,
      options.scryptCost ?? SCRYPT_COST,
      options.random,
      options.now(),
    );
    await store.put(slot.name, slot.bytes, { ifAbsent: true });
    const name = epochName(1);
    const document = newEpoch(master, repositoryIdOf(master), options);
    const mac = macOf(master.key, repositoryIdOf(master), name, Buffer.from(JSON.stringify(document), "utf8"));
    await claim(store, name, encodeTwoLines(document, mac), "another attempt to make one is under way").catch(
      async (error: unknown) => {
        // Only where the epoch is surely another's: after a lost answer this slot may be the one that opens it.
        if (error instanceof StillpointError && error.code === "REPOSITORY_EXISTS") await store.delete(slot.name);
        throw error;
      },
    );
  } else master = earlier;
  const repositoryId = repositoryIdOf(master);
  const document: Config = {
    format: "stillpoint-repository",
    version: FORMAT_VERSION,
    repositoryId,
    master: master.master,
    chunking: options.chunking ?? DEFAULT_CHUNKING,
    createdAt: toInstant(options.now()),
  };
  const mac = macOf(master.key, repositoryId, CONFIG_NAME, Buffer.from(JSON.stringify(document), "utf8"));
  await claim(store, CONFIG_NAME, encodeTwoLines(document, mac), "another attempt was quicker");
  return { repositoryId };
}
