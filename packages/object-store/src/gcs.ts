import { randomUUID } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { gcsClasses, gcsClassName, storageClassOfGcs } from "./gcs-classes.ts";
import { gcsClient } from "./gcs-client.ts";
import { gcsLarge } from "./gcs-large.ts";
import { gcsLocks } from "./gcs-locks.ts";
import { gcsAuthorization } from "./gcs-token.ts";
import { agentsFor, closeAgents, type Network } from "./network.ts";
import { objectExists, objectRetained, storeUnsupported } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { bodyParts, type ObjectInfo, type ObjectStore } from "./object-store.ts";
import { storeUrl } from "./store-url.ts";

export type GcsOptions = {
  bucket: string;
  /** `""`, or components that end in `/`. */
  prefix: string;
  /** A private endpoint or an emulator; absent: Google's own. */
  endpoint?: string | undefined;
  /** `none`: for emulators. A key file, or absent for what the machine is given. */
  credentials?: { keyFile: string } | "none" | undefined;
  network?: Network | undefined;
};

const FIELDS = "name,size,timeCreated,storageClass";
const resource = z.object({
  name: z.string(),
  // The API gives 64-bit numbers as strings.
  size: z.coerce.number().default(0),
  timeCreated: z.string(),
  storageClass: z.string().optional(),
});
const page = z.object({ items: z.array(resource).default([]), nextPageToken: z.string().optional() });

const parse = <Shape>(schema: z.ZodType<Shape>, body: Uint8Array): Shape =>
  schema.parse(JSON.parse(Buffer.from(body).toString("utf8")));

/** Google Cloud Storage by its JSON API: Google's own client has no way in for one target's proxy, authority and certificate. */
export function gcsStore(options: GcsOptions): ObjectStore {
  const { bucket, prefix, credentials } = options;
  const agents = agentsFor(options.network);
  const gcs = gcsClient({
    endpoint: options.endpoint ?? "https://storage.googleapis.com",
    bucket,
    prefix,
    agents,
    authorization: credentials === "none" ? undefined : gcsAuthorization(credentials?.keyFile, agents),
  });
  const listPath = `storage/v1/b/${encodeURIComponent(bucket)}/o`;

  const found = ({ name, size, timeCreated, storageClass }: z.infer<typeof resource>): ObjectInfo => ({
    name: name.slice(prefix.length),
    size,
    modifiedMs: Date.parse(timeCreated),
    storageClass: storageClassOfGcs(storageClass),
  });

  async function head(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    const what = "Cannot look at an object";
    const query = { fields: FIELDS };
    const answer = await gcs.request({ path: gcs.objectPath(name), query, expected: [404], signal, what, name });
    if (answer.status !== 404) return found(parse(resource, answer.body));
    const missing = await gcs.missing(name, what, signal);
    if (missing instanceof StillpointError && missing.code === "OBJECT_MISSING") return undefined;
    throw missing;
  }

  return {
    url: storeUrl("gs", options),
    head,
    locks: gcsLocks(gcs, bucket),
    classes: gcsClasses(gcs, head),
    large: gcsLarge(gcs, bucket, (name) => prefix + name),
    async put(name, body, { ifAbsent = false, retainUntilMs, storageClass, signal } = {}) {
      assertObjectName(name);
      const what = "Cannot write an object";
      const boundary = randomUUID();
      const metadata = {
        name: prefix + name,
        ...(storageClass === undefined ? {} : { storageClass: gcsClassName(storageClass) }),
        ...(retainUntilMs === undefined
          ? {}
          : { retention: { mode: "Locked", retainUntilTime: new Date(retainUntilMs).toISOString() } }),
      };
      const before = `--${boundary}\r\ncontent-type: application/json\r\n\r\n${JSON.stringify(metadata)}\r\n--${boundary}\r\ncontent-type: application/octet-stream\r\n\r\n`;
      const answer = await gcs.request({
        method: "POST",
        path: `upload/${listPath}`,
        query: { uploadType: "multipart", fields: "size", ...(ifAbsent ? { ifGenerationMatch: "0" } : {}) },
        headers: { "content-type": `multipart/related; boundary=${boundary}` },
        body: [Buffer.from(before), ...bodyParts(body), Buffer.from(`\r\n--${boundary}--`)],
        expected: [404, 412, ...(retainUntilMs === undefined ? [] : [400])],
        signal,
        what,
        name,
      });
      if (answer.status === 400)
        throw storeUnsupported(
          gcs.where(name),
          "it was refused with its lock",
          "enable object retention on the bucket",
        );
      if (answer.status === 412) throw objectExists(name);
      if (answer.status === 404) throw await gcs.missing(name, what, signal);
    },
    async get(name, range, signal) {
      assertObjectName(name);
      signal?.throwIfAborted();
      if (range?.length === 0) return new Uint8Array(0);
      const what = "Cannot read an object";
      const answer = await gcs.request({
        path: gcs.objectPath(name),
        query: { alt: "media" },
        headers: range === undefined ? {} : { range: `bytes=${range.offset}-${range.offset + range.length - 1}` },
        expected: [404, 416],
        signal,
        what,
        name,
      });
      // The range begins behind the end: nothing is there, as in every other storage.
      if (answer.status === 416) return new Uint8Array(0);
      if (answer.status === 404) throw await gcs.missing(name, what, signal);
      return answer.body;
    },
    async *list(under, { after, signal } = {}) {
      let pageToken: string | undefined;
      do {
        const query = {
          prefix: prefix + under,
          fields: `nextPageToken,items(${FIELDS})`,
          // It begins with the name itself, which is left out below.
          startOffset: after === undefined ? undefined : prefix + after,
          pageToken,
        };
        const what = "Cannot list objects";
        const answer = await gcs.request({ path: listPath, query, expected: [404], signal, what, name: under });
        if (answer.status === 404) throw await gcs.missing(under, what, signal);
        const { items, nextPageToken } = parse(page, answer.body);
        for (const item of items) {
          const info = found(item);
          if (info.name !== after) yield info;
        }
        pageToken = nextPageToken === "" ? undefined : nextPageToken;
      } while (pageToken !== undefined);
    },
    async delete(name, signal) {
      assertObjectName(name);
      const what = "Cannot delete an object";
      const path = gcs.objectPath(name);
      const answer = await gcs.request({ method: "DELETE", path, expected: [403, 404], signal, what, name });
      // Credentials that may not even look are told by the look itself.
      if (answer.status === 403 && (await head(name, signal)) !== undefined)
        throw objectRetained(
          gcs.where(name),
          "Google Cloud Storage refuses to delete it: a retention, a hold or a policy",
        );
      if (answer.status !== 404) return;
      const missing = await gcs.missing(name, what, signal);
      if (!(missing instanceof StillpointError) || missing.code !== "OBJECT_MISSING") throw missing;
    },
    async now(signal) {
      const what = "Cannot ask the object store for its time";
      const query = { maxResults: "1", fields: "nextPageToken" };
      const answer = await gcs.request({ path: listPath, query, expected: [404], signal, what, name: "" });
      if (answer.status === 404) throw await gcs.missing("", what, signal);
      const ms = Date.parse(answer.headers.date ?? "");
      if (!Number.isNaN(ms)) return ms;
      throw new StillpointError("STORE_UNREACHABLE", { what, where: gcs.where(""), why: "the answer has no date" });
    },
    createsAtomically: () => Promise.resolve(true),
    [Symbol.asyncDispose]: async () => closeAgents(agents),
  };
}
