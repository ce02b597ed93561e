import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { z } from "zod";
import { readDocument } from "./format/documents.ts";
import { objectName, type SealedKind } from "./format/kinds.ts";
import { openObject, sealObject } from "./format/sealed-object.ts";
import { putAndRead } from "./put-and-read.ts";
import { readVerified, type Verified } from "./replicas/other-copies.ts";
import type { RepositoryContext } from "./repository-context.ts";

type DocumentContext = Pick<RepositoryContext, "store" | "ring" | "random">;

/** Writes a document once. False where one of this name was there: nothing was changed. */
export async function putDocument(
  { store, ring, random }: DocumentContext,
  kind: SealedKind,
  id: string,
  document: unknown,
  signal?: AbortSignal,
): Promise<boolean> {
  const plain = Buffer.from(JSON.stringify(document), "utf8");
  const name = objectName(kind, id);
  const bytes = sealObject(kind, id, plain, ring.epochs, random);
  try {
    // A lease is put all the time, and whoever relies on it looks whether it is there.
    if (kind === "leases") await store.put(name, bytes, { ifAbsent: true, signal });
    else await putAndRead(store, name, bytes, { ifAbsent: true, signal });
    return true;
  } catch (error) {
    if (error instanceof StillpointError && error.code === "OBJECT_EXISTS") return false;
    throw error;
  }
}

export type OpenedDocument<T> = { document: T; sha256: string };

export async function getDocument<Schema extends z.ZodType>(
  { store, ring }: DocumentContext,
  kind: SealedKind,
  id: string,
  schema: Schema,
  signal?: AbortSignal,
  { mustExist }: Verified = {},
): Promise<OpenedDocument<z.output<Schema>> | undefined> {
  const name = objectName(kind, id);
  try {
    return await readVerified(
      store,
      name,
      async (from) => {
        const bytes = await from.get(name, undefined, signal);
        const document = readDocument(schema, name, openObject(kind, id, name, bytes, ring.epochs));
        return { document, sha256: createHash("sha256").update(bytes).digest("hex") };
      },
      { mustExist },
    );
  } catch (error) {
    if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return undefined;
    throw error;
  }
}

/** Ids below a kind's folder (and a first part of the id), in order, behind `after`. */
export async function* listIds(
  { store }: DocumentContext,
  kind: SealedKind,
  options: { within?: string | undefined; after?: string | undefined; signal?: AbortSignal | undefined } = {},
): AsyncGenerator<string> {
  const folder = objectName(kind, "");
  const after = options.after === undefined ? undefined : folder + options.after;
  for await (const { name } of store.list(folder + (options.within ?? ""), { after, signal: options.signal }))
    yield name.slice(folder.length);
}
