import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import type { Secret } from "@stillpoint/contracts/secret";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { encodeTwoLines, macOf } from "./format/authenticated-text.ts";
import { type Chunking, type Config, DEFAULT_CHUNKING, type KeySlot } from "./format/documents.ts";
import { CONFIG_NAME, FORMAT_VERSION } from "./format/kinds.ts";
import { deleteObject } from "./garbage/delete-objects.ts";
import { encodeEpoch, readEpochs } from "./keys/epoch-chain.ts";
import { encodeSlot, type MasterKey } from "./keys/key-slot.ts";
import type { Opener, Sealer } from "./keys/opener.ts";
import { passphraseOpener, type ScryptCost } from "./keys/passphrase.ts";
import { openFirstSlot, readSlots } from "./keys/read-slots.ts";
import { putAndRead } from "./put-and-read.ts";

export type InitOptions = ({ passphrase: Secret; opener?: never } | { opener: Opener; passphrase?: never }) & {
  /** Further slots: `escrow` ones open it for their holder, and do not count as openers. */
  further?: readonly { sealer: Sealer; type: "opener" | "escrow" }[];
  /** Bytes that nobody can guess. */
  random: (length: number) => Uint8Array;
  /** Milliseconds since the epoch. */
  now: () => number;
  chunking?: Chunking;
  /** Of `passphrase`. For tests: the default takes its time on purpose. */
  scryptCost?: ScryptCost;
  /** Nobody else makes this repository now: needed where the storage cannot create a name in one step. */
  soleInitialiser?: boolean;
};

function exists(store: ObjectStore, why: string): StillpointError {
  return new StillpointError("REPOSITORY_EXISTS", {
    what: "Did not make a repository",
    where: store.url,
    why,
    hint: "open it with its key, or choose an empty directory or prefix",
  });
}

/** Puts an object that decides who won; another's that is there already ends this attempt. */
async function claim(store: ObjectStore, name: string, bytes: Uint8Array, why: string): Promise<void> {
  await putAndRead(store, name, bytes, { ifAbsent: true }).catch((error: unknown) => {
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

/** What an earlier attempt left, if this opens it: epoch 1 is there, the configuration is not. */
async function begun(store: ObjectStore, opener: Opener): Promise<MasterKey | "none" | "foreign"> {
  const [epoch] = await readEpochs(store);
  if (epoch === undefined) return "none";
  const { slots } = await readSlots(store);
  const opened = await openFirstSlot(slots, opener, epoch.document.master, repositoryIdOf(epoch.document));
  return opened?.master ?? "foreign";
}

/** Derived from the repository key's name, so that an attempt that is taken up again finds the same. */
function repositoryIdOf({ master }: { master: string }): string {
  const bytes = Buffer.from(master, "hex");
  return uuidv7(bytes.readUIntBE(0, 6), bytes.subarray(6));
}

/** Slots and epoch 1 of a new repository key. */
async function begin(store: ObjectStore, opener: Opener, options: InitOptions): Promise<MasterKey> {
  const { random, further = [] } = options;
  const id = Buffer.from(random(16));
  id.writeUIntBE(options.now(), 0, 6);
  const master = { master: id.toString("hex"), key: random(32) };
  const repositoryId = repositoryIdOf(master);
  const made: KeySlot[] = [];
  const names: string[] = [];
  for (const { sealer, type } of [{ sealer: opener, type: "opener" as const }, ...further]) {
    const slot = await encodeSlot(master, sealer, {
      type,
      repositoryId,
      siblings: made,
      random,
      nowMs: options.now(),
    });
    await putAndRead(store, slot.name, slot.bytes, { ifAbsent: true });
    made.push(slot.document);
    names.push(slot.name);
  }
  const epoch = encodeEpoch(master, repositoryId, random, options.now());
  await claim(store, epoch.name, epoch.bytes, "another attempt to make one is under way").catch(
    async (error: unknown) => {
      // Only where the epoch is surely another's: after a lost answer these slots may be those that open it.
      if (error instanceof StillpointError && error.code === "REPOSITORY_EXISTS")
        for (const name of names) await deleteObject(store, name); // one that a lock keeps opens nothing
      throw error;
    },
  );
  return master;
}

/**
 * Makes a repository where there is none. The order is slots, epoch, configuration: only the last makes it one, so an
 * attempt that broke off is taken up again by the same key.
 */
export async function initRepository(store: ObjectStore, options: InitOptions): Promise<{ repositoryId: string }> {
  const cost = options.scryptCost === undefined ? {} : { cost: options.scryptCost };
  const opener = options.opener ?? passphraseOpener(options.passphrase, cost);
  if ((await store.head(CONFIG_NAME)) !== undefined) throw exists(store, "there is a repository already");
  await assertSole(store, options);
  const earlier = await begun(store, opener);
  if (earlier === "foreign") throw exists(store, `one was begun here, and ${opener.shown} does not open it`);
  const master = earlier === "none" ? await begin(store, opener, options) : earlier;
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
