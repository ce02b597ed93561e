import { Readable } from "node:stream";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
} from "@aws-sdk/client-s3";
import { agentsFor, closeAgents, type Network } from "./network.ts";
import { objectCold, objectExists, objectMissing, objectRetained, storeUnsupported } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import {
  bodyLength,
  bodyParts,
  type ObjectBody,
  type ObjectInfo,
  type ObjectStore,
  type PutOptions,
} from "./object-store.ts";
import { readBody } from "./read-body.ts";
import { crc32Of, md5Of } from "./s3-checksum.ts";
import { s3Classes, s3ClassName, storageClassOfS3 } from "./s3-classes.ts";
import { type S3Access, s3Client } from "./s3-client.ts";
import { fromS3, statusOf } from "./s3-errors.ts";
import { s3Large } from "./s3-large.ts";
import { type S3LockMode, s3Locks } from "./s3-locks.ts";
import { s3Place } from "./s3-place.ts";
import { conditionalCreateProbe } from "./s3-probe.ts";
import { storeUrl } from "./store-url.ts";

export type S3Options = S3Access & {
  bucket: string;
  /** `""`, or components that end in `/`. */
  prefix: string;
  network?: Network | undefined;
  lockMode?: S3LockMode | undefined;
};

const LOCK_HINT = "make a bucket with object lock, and grant s3:GetBucketObjectLockConfiguration";

/** Any S3 that knows version 4 signatures and ListObjectsV2. */
export function s3Store(options: S3Options): ObjectStore {
  const agents = agentsFor(options.network);
  const s3 = s3Client(options, agents);
  const lockMode = options.lockMode ?? "COMPLIANCE";
  const overTls = options.endpoint === undefined || options.endpoint.startsWith("https:");
  const place = s3Place(options.bucket, options.prefix);
  const { Bucket, keyOf, where } = place;
  const { deleteVersions, mayLock, ...locks } = s3Locks(s3, place, lockMode);
  const abort = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const found = (name: string, size = 0, modified?: Date, storageClass?: string): ObjectInfo => ({
    name,
    size,
    modifiedMs: modified?.getTime() ?? 0,
    storageClass: storageClassOfS3(storageClass),
  });

  /** Servers answer a HEAD without a body, so a missing bucket and a missing key look alike: a list tells them apart. */
  async function assertBucket(signal?: AbortSignal): Promise<void> {
    await s3.send(new ListObjectsV2Command({ Bucket, Prefix: options.prefix, MaxKeys: 1 }), abort(signal));
  }

  async function head(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    try {
      const answer = await s3.send(new HeadObjectCommand({ Bucket, Key: keyOf(name) }), abort(signal));
      return found(name, answer.ContentLength, answer.LastModified, answer.StorageClass);
    } catch (error) {
      if (statusOf(error) !== 404) throw fromS3(error, "Cannot look at an object", where(name));
      await assertBucket(signal).catch((failure: unknown) => {
        throw fromS3(failure, "Cannot look at an object", where(name));
      });
      return undefined;
    }
  }

  async function putRaw(name: string, body: ObjectBody, { ifAbsent, ...rest }: PutOptions): Promise<void> {
    const parts = bodyParts(body);
    const { retainUntilMs, storageClass, signal } = rest;
    const command = new PutObjectCommand({
      Bucket,
      Key: keyOf(name),
      // A stream of the parts as they are: nothing is joined, and no hash of the whole goes into the signature.
      Body: Readable.from(parts),
      ContentLength: bodyLength(body),
      ...(overTls || retainUntilMs !== undefined ? {} : { ChecksumCRC32: crc32Of(parts) }),
      ...(ifAbsent === true ? { IfNoneMatch: "*" } : {}),
      ...(storageClass === undefined ? {} : { StorageClass: s3ClassName(storageClass) }),
      ...(retainUntilMs === undefined
        ? {}
        : {
            ContentMD5: md5Of(parts),
            ObjectLockMode: lockMode,
            ObjectLockRetainUntilDate: new Date(Math.ceil(retainUntilMs / 1000) * 1000),
          }),
    });
    try {
      await s3.send(command, abort(signal));
    } catch (error) {
      if (ifAbsent && statusOf(error) === 412) throw objectExists(name);
      // Another writer of the name is under way. Until it has ended nobody knows whether it will be there: asked again, it shows.
      if (ifAbsent && statusOf(error) === 409 && (await head(name, signal)) !== undefined) throw objectExists(name);
      if (error instanceof Error && error.name === "InvalidStorageClass")
        throw storeUnsupported(where(name), `the server has no class ${storageClass}`);
      throw fromS3(error, "Cannot write an object", where(name));
    }
  }

  async function remove(name: string, signal?: AbortSignal): Promise<void> {
    assertObjectName(name);
    if (await mayLock(signal)) return deleteVersions(name, signal);
    try {
      await s3.send(new DeleteObjectCommand({ Bucket, Key: keyOf(name) }), abort(signal));
    } catch (error) {
      if (error instanceof Error && error.name === "NoSuchKey") return;
      // Credentials that may not even look are told by the look itself.
      if (statusOf(error) === 403 && (await head(name, signal)) !== undefined)
        throw objectRetained(where(name), "the server refuses to delete it: a policy denies it", error);
      throw fromS3(error, "Cannot delete an object", where(name));
    }
  }

  const createsAtomically = conditionalCreateProbe({
    create: (name, signal) => putRaw(name, new Uint8Array(1), { ifAbsent: true, signal }),
    remove,
  });

  return {
    url: storeUrl("s3", options),
    head,
    locks,
    classes: s3Classes(s3, place, locks.available),
    createsAtomically,
    large: s3Large(s3, place, {
      createsAtomically,
      isThere: async (name, signal) => (await head(name, signal)) !== undefined,
    }),
    async put(name, body, options = {}) {
      assertObjectName(name);
      const { ifAbsent = false, retainUntilMs, signal } = options;
      // Some servers store the object first, and then say that they have no lock for it.
      if (retainUntilMs !== undefined && !(await locks.available(signal)))
        throw storeUnsupported(where(name), "the bucket has no object lock, or does not tell that it has", LOCK_HINT);
      if (ifAbsent && !(await createsAtomically(signal)) && (await head(name, signal)) !== undefined)
        throw objectExists(name);
      await putRaw(name, body, options);
    },
    async get(name, range, signal) {
      assertObjectName(name);
      if (range?.length === 0) return new Uint8Array(0);
      const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
      try {
        const command = new GetObjectCommand({ Bucket, Key: keyOf(name), ...(Range === undefined ? {} : { Range }) });
        const answer = await s3.send(command, abort(signal));
        if (!(answer.Body instanceof Readable)) throw new Error("the answer has no body");
        return await readBody(answer.Body, answer.ContentLength);
      } catch (error) {
        // The range begins behind the end: nothing is there, as in every other storage.
        if (statusOf(error) === 416) return new Uint8Array(0);
        if (error instanceof Error && error.name === "NoSuchKey") throw objectMissing(name);
        if (error instanceof Error && error.name === "InvalidObjectState")
          throw objectCold(where(name), "it is in an archive class", error);
        throw fromS3(error, "Cannot read an object", where(name));
      }
    },
    async *list(prefix, { after, signal } = {}) {
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix: keyOf(prefix),
          ...(token === undefined ? {} : { ContinuationToken: token }),
          ...(after === undefined ? {} : { StartAfter: keyOf(after) }),
        });
        const page = await s3.send(command, abort(signal)).catch((error: unknown) => {
          throw fromS3(error, "Cannot list objects", where(prefix));
        });
        for (const { Key, Size, LastModified, StorageClass } of page.Contents ?? [])
          if (Key !== undefined) yield found(Key.slice(options.prefix.length), Size, LastModified, StorageClass);
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
    delete: remove,
    async now(signal) {
      let date: string | undefined;
      const command = new ListObjectsV2Command({ Bucket, Prefix: options.prefix, MaxKeys: 1 });
      // The client's answer holds no headers: the Date is taken where the response passes by.
      command.middlewareStack.add(
        (next) => async (args) => {
          const result = await next(args);
          const { response } = result;
          if (typeof response === "object" && response !== null && "headers" in response)
            date = (response.headers as Record<string, string>).date; // the SDK's HttpResponse has string headers
          return result;
        },
        { step: "deserialize" },
      );
      try {
        await s3.send(command, abort(signal));
      } catch (error) {
        throw fromS3(error, "Cannot ask the object store for its time", where(""));
      }
      const ms = date === undefined ? Number.NaN : Date.parse(date);
      if (Number.isNaN(ms)) throw fromS3(new Error("the answer has no date"), "Cannot ask for the time", where(""));
      return ms;
    },
    async [Symbol.asyncDispose]() {
      s3.destroy();
      closeAgents(agents);
    },
  };
}
