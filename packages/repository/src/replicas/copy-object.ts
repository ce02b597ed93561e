import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { toldApart } from "../format/damage.ts";
import { putAndLook, putAndRead } from "../put-and-read.ts";
import { readVerified } from "./other-copies.ts";
import { type VerifyContext, verifyObject } from "./verify-object.ts";

/** Objects up to this length are read back. */
const READ_BACK_BYTES = 65_536;

/** Why an object was not copied; the others go on. */
export type NotCopied = { object: string; why: string };

/** The object's bytes as they were written, from the first copy that has them; read once more before one is blamed. */
export function readAuthentic(
  context: VerifyContext,
  source: ObjectStore,
  object: string,
  signal?: AbortSignal,
): Promise<Uint8Array> {
  const once = async (from: ObjectStore) => {
    const bytes = await from.get(object, undefined, signal);
    await verifyObject(context, object, bytes);
    return bytes;
  };
  return readVerified(
    source,
    object,
    (from) =>
      once(from).catch(async (thrown: unknown) => {
        const error = await toldApart(from, thrown);
        if (error instanceof StillpointError && error.code === "OBJECT_DAMAGED") return once(from);
        throw error;
      }),
    { mustExist: true },
  );
}

/**
 * Copies one object, and nothing that is damaged: it is authenticated in between. Answers its length, or why there is
 * nothing to copy; throws where source or target do not work.
 */
export async function copyObject(
  context: VerifyContext,
  source: ObjectStore,
  target: ObjectStore,
  object: string,
  signal?: AbortSignal,
): Promise<number | NotCopied> {
  let bytes: Uint8Array;
  try {
    bytes = await readAuthentic(context, source, object, signal);
  } catch (error) {
    if (error instanceof StillpointError && ["OBJECT_DAMAGED", "OBJECT_MISSING", "OBJECT_COLD"].includes(error.code))
      return { object, why: error.why ?? error.what };
    throw error;
  }
  // What needs it is copied after it: so it must be there, whatever the target says.
  const put = bytes.length > READ_BACK_BYTES ? putAndLook : putAndRead;
  await put(target, object, bytes, { ifAbsent: true, signal }).catch((error: unknown) => {
    // Another who replicates was quicker: it is the same object, for names are given out once.
    if (!(error instanceof StillpointError && error.code === "OBJECT_EXISTS")) throw error;
  });
  return bytes.length;
}
