import { randomUUID } from "node:crypto";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  HeadObjectCommand,
  ListObjectsV2Command,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import type { Secret } from "@stillpoint/contracts/secret";
import { objectExists, objectMissing } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { bodyParts, type ObjectInfo, type ObjectStore } from "./object-store.ts";
import { fromS3, statusOf } from "./s3-errors.ts";

export type S3Options = {
  bucket: string;
  /** `""`, or components that end in `/`. */
  prefix: string;
  region: string;
  /** A server of one's own; absent: AWS. */
  endpoint?: string | undefined;
  accessKeyId: Secret;
  secretAccessKey: Secret;
  sessionToken?: Secret | undefined;
  /** Names in one page of a listing. Default: as many as the server gives, 1 000. */
  keysPerPage?: number;
};

function client(options: S3Options): S3Client {
  return new S3Client({
    region: options.region,
    credentials: {
      accessKeyId: options.accessKeyId.reveal(),
      secretAccessKey: options.secretAccessKey.reveal(),
      ...(options.sessionToken === undefined ? {} : { sessionToken: options.sessionToken.reveal() }),
    },
    ...(options.endpoint === undefined ? {} : { endpoint: options.endpoint, forcePathStyle: true }),
    // Retrying is the business of the retry wrapper, for every storage alike.
    maxAttempts: 1,
    // Every byte is authenticated by the repository; servers other than AWS's refuse the newer checksums.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}

/** Any S3 that knows version 4 signatures and ListObjectsV2. */
export function s3Store(options: S3Options): ObjectStore {
  const s3 = client(options);
  const Bucket = options.bucket;
  const keyOf = (name: string) => options.prefix + name;
  const where = (name: string) => `s3://${Bucket}/${keyOf(name)}`;
  const abort = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  const found = (name: string, size: number | undefined, modified: Date | undefined): ObjectInfo => ({
    name,
    size: size ?? 0,
    modifiedMs: modified?.getTime() ?? 0,
  });

  /** Servers answer a HEAD without a body, so a missing bucket and a missing key look alike: a list tells them apart. */
  async function assertBucket(signal?: AbortSignal): Promise<void> {
    await s3.send(new ListObjectsV2Command({ Bucket, Prefix: options.prefix, MaxKeys: 1 }), abort(signal));
  }

  async function head(name: string, signal?: AbortSignal): Promise<ObjectInfo | undefined> {
    assertObjectName(name);
    try {
      const answer = await s3.send(new HeadObjectCommand({ Bucket, Key: keyOf(name) }), abort(signal));
      return found(name, answer.ContentLength, answer.LastModified);
    } catch (error) {
      if (statusOf(error) !== 404) throw fromS3(error, "Cannot look at an object", where(name));
      await assertBucket(signal).catch((failure: unknown) => {
        throw fromS3(failure, "Cannot look at an object", where(name));
      });
      return undefined;
    }
  }

  async function putRaw(name: string, body: Uint8Array, ifAbsent: boolean, signal?: AbortSignal): Promise<void> {
    const command = new PutObjectCommand({
      Bucket,
      Key: keyOf(name),
      Body: body,
      ContentLength: body.length,
      ...(ifAbsent ? { IfNoneMatch: "*" } : {}),
    });
    try {
      await s3.send(command, abort(signal));
    } catch (error) {
      // 412: the name is taken. 409 with a condition: another writer of the same name is under way, and this one lost.
      if (ifAbsent && (statusOf(error) === 412 || statusOf(error) === 409)) throw objectExists(name);
      throw fromS3(error, "Cannot write an object", where(name));
    }
  }

  let atomic: Promise<boolean> | undefined;
  /** Some servers ignore the condition and overwrite: only trying it shows which. */
  async function probeConditionalCreate(signal?: AbortSignal): Promise<boolean> {
    const name = `probe-${randomUUID()}`;
    await putRaw(name, Uint8Array.of(1), true, signal);
    try {
      await putRaw(name, Uint8Array.of(2), true, signal);
      return false;
    } catch (error) {
      if (error instanceof Error && "code" in error && error.code === "OBJECT_EXISTS") return true;
      throw error;
    } finally {
      await s3.send(new DeleteObjectCommand({ Bucket, Key: keyOf(name) }));
    }
  }
  function createsAtomically(signal?: AbortSignal): Promise<boolean> {
    atomic ??= probeConditionalCreate(signal).catch((error: unknown) => {
      atomic = undefined;
      throw error;
    });
    return atomic;
  }

  return {
    url: where("").replace(/\/$/, ""),
    head,
    createsAtomically,
    async put(name, body, { ifAbsent = false, signal } = {}) {
      assertObjectName(name);
      const parts = bodyParts(body);
      const [only] = parts;
      const whole = parts.length === 1 && only !== undefined ? only : Buffer.concat(parts);
      if (ifAbsent && !(await createsAtomically(signal)) && (await head(name, signal)) !== undefined)
        throw objectExists(name);
      await putRaw(name, whole, ifAbsent, signal);
    },
    async get(name, range, signal) {
      assertObjectName(name);
      if (range?.length === 0) return new Uint8Array(0);
      const Range = range && `bytes=${range.offset}-${range.offset + range.length - 1}`;
      try {
        const command = new GetObjectCommand({ Bucket, Key: keyOf(name), ...(Range === undefined ? {} : { Range }) });
        const answer = await s3.send(command, abort(signal));
        return (await answer.Body?.transformToByteArray()) ?? new Uint8Array(0);
      } catch (error) {
        // The range begins behind the end: nothing is there, as in every other storage.
        if (statusOf(error) === 416) return new Uint8Array(0);
        if (error instanceof Error && error.name === "NoSuchKey") throw objectMissing(name);
        throw fromS3(error, "Cannot read an object", where(name));
      }
    },
    async *list(prefix, { after, signal } = {}) {
      let token: string | undefined;
      do {
        const command = new ListObjectsV2Command({
          Bucket,
          Prefix: keyOf(prefix),
          ...(options.keysPerPage === undefined ? {} : { MaxKeys: options.keysPerPage }),
          ...(token === undefined ? {} : { ContinuationToken: token }),
          ...(after === undefined ? {} : { StartAfter: keyOf(after) }),
        });
        const page = await s3.send(command, abort(signal)).catch((error: unknown) => {
          throw fromS3(error, "Cannot list objects", where(prefix));
        });
        for (const { Key, Size, LastModified } of page.Contents ?? [])
          if (Key !== undefined) yield found(Key.slice(options.prefix.length), Size, LastModified);
        token = page.IsTruncated ? page.NextContinuationToken : undefined;
      } while (token !== undefined);
    },
    async delete(name, signal) {
      assertObjectName(name);
      try {
        await s3.send(new DeleteObjectCommand({ Bucket, Key: keyOf(name) }), abort(signal));
      } catch (error) {
        if (error instanceof Error && error.name === "NoSuchKey") return;
        throw fromS3(error, "Cannot delete an object", where(name));
      }
    },
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
    },
  };
}
