import type { JsMsg } from "@nats-io/jetstream";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { BucketDefinition } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import { headerOf } from "./headers.ts";
import { decodeJson, describeIssues } from "./json.ts";

export type Change<Value> =
  | { type: "put"; key: string; value: Value; revision: number }
  | { type: "deleted"; key: string; revision: number }
  /** A value that this version cannot read: another process's problem must not end a watch. */
  | { type: "invalid"; key: string; revision: number; error: StillpointError }
  /** Everything that was there at the beginning has been given. */
  | { type: "current" };

export function readValue<Definition extends BucketDefinition>(
  definition: Definition,
  key: string,
  bytes: Uint8Array,
): z.output<Definition["value"]> {
  const where = `${definition.name}/${key}`;
  const parsed = definition.value.safeParse(decodeJson(bytes, where));
  if (parsed.success) return parsed.data as z.output<Definition["value"]>; // the generic hides that it is this schema's
  throw new StillpointError("FORMAT_UNKNOWN", {
    what: "Cannot read a value in KV",
    where,
    why: describeIssues(parsed.error),
    hint: "was it written by another version of Stillpoint?",
    cause: parsed.error,
  });
}

/** A message of a bucket's stream as what it did to the key. */
export function changeOf<Definition extends BucketDefinition>(
  definition: Definition,
  message: JsMsg,
): Change<z.output<Definition["value"]>> {
  const key = message.subject.slice(`$KV.${definition.name}.`.length);
  const revision = message.seq;
  // The server's own mark for a key whose time ran out, or the writer's for one that it took away.
  const isGone =
    headerOf(message.headers, "Nats-Marker-Reason") !== undefined ||
    headerOf(message.headers, "KV-Operation") !== undefined;
  if (isGone) return { type: "deleted", key, revision };
  try {
    return { type: "put", key, value: readValue(definition, key, message.data), revision };
  } catch (error) {
    if (error instanceof StillpointError) return { type: "invalid", key, revision, error };
    throw error;
  }
}
