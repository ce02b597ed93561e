import { assertMac, decodeTwoLines } from "../format/authenticated-text.ts";
import { epochUnknown, objectDamaged } from "../format/damage.ts";
import { config, epoch, readDocument } from "../format/documents.ts";
import { CONFIG_NAME } from "../format/kinds.ts";
import type { KeyRing } from "./key-ring.ts";

/** Throws unless who had the repository key that it names wrote this configuration or epoch. */
export function verifyInClear(ring: KeyRing, object: string, bytes: Uint8Array): void {
  const { line } = decodeTwoLines(object, bytes);
  const read = object === CONFIG_NAME ? readDocument(config, object, line) : readDocument(epoch, object, line);
  const key = [ring.master, ...ring.mastersBefore].find(({ master }) => master === read.master);
  if (key !== undefined) assertMac(key.key, ring.repositoryId, object, bytes);
  else if ("epoch" in read) throw epochUnknown(object, read.epoch, ring.epochs.current);
  else throw objectDamaged(object, "it is of a repository key that this repository never had");
}
