import { createHash } from "node:crypto";
import { Readable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { GetObjectCommand, HeadObjectCommand, S3ServiceException } from "@aws-sdk/client-s3";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { bucketError, type SourceBucket } from "./source-bucket.ts";

/** What an object carries beside its bytes, by the names of S3's requests. */
export const objectHeaders = z.object({
  ContentType: z.string().optional(),
  CacheControl: z.string().optional(),
  ContentDisposition: z.string().optional(),
  ContentEncoding: z.string().optional(),
  ContentLanguage: z.string().optional(),
  WebsiteRedirectLocation: z.string().optional(),
  StorageClass: z.string().optional(),
  Metadata: z.record(z.string(), z.string()).optional(),
});
export type ObjectHeaders = z.infer<typeof objectHeaders>;

type Asked = { key: string; version: string; etag: string; modifiedMs: number };
/** An object as it was opened: all of it is of one state, or reading it ends early. */
export type OpenedObject = {
  version: string;
  etag: string;
  size: number;
  /** As it was listed; -1 where another state than the listed one was opened. */
  modifiedMs: number;
  lastModifiedMs: number;
  headers: ObjectHeaders;
  body: AsyncIterable<Uint8Array>;
  /** Of what was read of the body. */
  sha256: () => string;
  [Symbol.dispose]: () => void;
};

const WHAT = "Cannot read an object";
/** How often a body that broke off is taken up again without a byte in between. */
const TRIES = 5;
const PAUSE_MS = 200;

/**
 * Opens an object in the state that was listed, else in the one that is there now. Undefined: it is gone. A connection that
 * breaks is taken up where it broke, in the same state; where that is not there any more, the body ends early.
 */
export async function openObject(from: SourceBucket, asked: Asked): Promise<OpenedObject | undefined> {
  const answer = (await get(from, asked, asked.etag)) ?? (await get(from, { ...asked, version: "" }, undefined));
  if (answer === undefined) return undefined;
  const etag = answer.ETag ?? "";
  const size = answer.ContentLength ?? 0;
  const version = answer.VersionId ?? "";
  const same = { ...asked, version: isPinned(version) ? version : "" };
  const hash = createHash("sha256");
  let first = bodyOf(answer.Body);

  async function* body(): AsyncGenerator<Uint8Array> {
    let read = 0;
    for (let failures = 0; read < size; ) {
      try {
        const stream = first ?? bodyOf((await get(from, same, etag, read))?.Body);
        first = undefined;
        if (stream === undefined) return; // another state is there now: the writer pads, and the object is read again
        for await (const chunk of stream) {
          hash.update(chunk);
          read += chunk.byteLength;
          failures = 0;
          yield chunk;
        }
        if (read < size) throw new Error(`the body ended ${size - read} bytes early`);
      } catch (error) {
        from.signal.throwIfAborted();
        failures += 1;
        if (failures === TRIES || error instanceof StillpointError)
          throw bucketError(error, WHAT, from.where(asked.key));
        await pause(PAUSE_MS * 2 ** failures, undefined, { signal: from.signal });
      }
    }
  }

  return {
    version,
    etag,
    size,
    modifiedMs: etag === asked.etag ? asked.modifiedMs : -1,
    lastModifiedMs: answer.LastModified?.getTime() ?? 0,
    headers: objectHeaders.parse({ ...answer, Metadata: answer.Metadata ?? {} }),
    body: body(),
    sha256: () => hash.digest("hex"),
    [Symbol.dispose]: () => first?.destroy(),
  };
}

/** The version that the object in this state has; undefined where it is in it no more, or has none that stays. */
export async function versionOf(from: SourceBucket, { key, etag }: Asked): Promise<string | undefined> {
  try {
    const command = new HeadObjectCommand({ Bucket: from.bucket, Key: key, IfMatch: etag });
    const { VersionId = "" } = await from.s3.send(command, { abortSignal: from.signal });
    return isPinned(VersionId) ? VersionId : undefined;
  } catch (error) {
    if (isElsewhere(error)) return undefined;
    throw bucketError(error, WHAT, from.where(key));
  }
}

/** A version that nothing is written over. */
export function isPinned(version: string): boolean {
  return version !== "" && version !== "null";
}

async function get(from: SourceBucket, { key, version }: Asked, IfMatch: string | undefined, offset = 0) {
  try {
    const command = new GetObjectCommand({
      Bucket: from.bucket,
      Key: key,
      ...(version === "" ? {} : { VersionId: version }),
      ...(IfMatch === undefined ? {} : { IfMatch }),
      ...(offset === 0 ? {} : { Range: `bytes=${offset}-` }),
    });
    return await from.s3.send(command, { abortSignal: from.signal });
  } catch (error) {
    if (isElsewhere(error)) return undefined;
    if (error instanceof S3ServiceException && error.name === "InvalidObjectState") {
      throw new StillpointError("SOURCE_DENIED", {
        what: WHAT,
        where: from.where(key),
        why: "it lies in an archive class, from which it is not read at once",
        hint: "exclude it in the plan, or have it restored in the bucket",
        cause: error,
      });
    }
    throw bucketError(error, WHAT, from.where(key));
  }
}

/** It is gone, or is not as it was listed. */
function isElsewhere(error: unknown): boolean {
  if (!(error instanceof S3ServiceException)) return false;
  if (error.name === "NoSuchBucket") return false;
  return error.$metadata.httpStatusCode === 404 || error.$metadata.httpStatusCode === 412;
}

function bodyOf(body: unknown): Readable | undefined {
  return body instanceof Readable ? body : undefined;
}
