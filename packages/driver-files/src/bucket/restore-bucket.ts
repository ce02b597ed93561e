import { createHash, type Hash } from "node:crypto";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { Readable } from "node:stream";
import { ListObjectsV2Command, PutObjectCommand, type S3Client } from "@aws-sdk/client-s3";
import { Upload } from "@aws-sdk/lib-storage";
import { StillpointError } from "@stillpoint/contracts/errors";
import { lineBatches } from "@stillpoint/driver/line-batches";
import { readTar } from "@stillpoint/driver/tar-reader";
import { fromS3 } from "@stillpoint/object-store/s3-errors";
import { OBJECTS_PATH, objectLine } from "./object-lists.ts";
import type { ObjectHeaders } from "./read-object.ts";

/** A backup's tar, or that of one path in it. */
export type ReadTar = (backupId: string, path?: string) => AsyncIterable<Uint8Array>;

export type BucketTarget = {
  s3: S3Client;
  bucket: string;
  /** Empty, or ends in `/`. */
  prefix: string;
};

/** What a point says of a captured bucket. */
export type BucketPlan = Disposable & {
  objects: number;
  bytes: number;
  /** Noncurrent versions and deletions, which only a restore into a directory gives. */
  older: number;
  /** Where the object's bytes go, until a later backup's have gone there. */
  take(path: string, backup: number): Planned | undefined;
  missing(): string[];
};
type Planned = { key: string; sha256: string; headers: ObjectHeaders };

/** Kept in a file of the directory: memory does not grow with the bucket. */
export async function planBucket(backups: readonly string[], read: ReadTar, directory: string): Promise<BucketPlan> {
  const database = new DatabaseSync(join(directory, "plan.db"));
  database.exec(`pragma journal_mode = off; pragma synchronous = off;
    create table object (path text primary key, key text, size integer, line text, taken integer) without rowid`);
  const put = database.prepare("insert into object values (?, ?, ?, ?, null)");
  let older = 0;
  for await (const lines of listLines(backups, read)) {
    database.exec("begin");
    for (const text of lines) {
      const { key, path, latest, size } = objectLine.parse(JSON.parse(text));
      if (latest && path !== undefined) put.run(path, key, size, text);
      else older += 1;
    }
    database.exec("commit");
  }
  const total = database.prepare("select count(*) as objects, coalesce(sum(size), 0) as bytes from object").get();
  const find = database.prepare("select line from object where path = ? and (taken is null or taken <= ?)");
  const mark = database.prepare("update object set taken = ? where path = ?");
  return {
    objects: Number(total?.objects),
    bytes: Number(total?.bytes),
    older,
    take(path, backup) {
      const found = find.get(path, backup);
      if (found === undefined) return undefined;
      mark.run(backup, path);
      const { key, sha256 = "", headers = {} } = objectLine.parse(JSON.parse(String(found.line)));
      return { key, sha256, headers };
    },
    missing: () =>
      database
        .prepare("select key from object where taken is null limit 5")
        .all()
        .map(({ key }) => String(key)),
    [Symbol.dispose]: () => database.close(),
  };
}

async function* listLines(backups: readonly string[], read: ReadTar): AsyncGenerator<string[]> {
  const last = backups.at(-1) ?? "";
  try {
    for await (const { entry, body } of readTar(read(last, OBJECTS_PATH))) {
      if (entry.type === "file" && entry.path === OBJECTS_PATH) return yield* lineBatches(body);
    }
  } catch (error) {
    if (!(error instanceof StillpointError && error.code === "NOT_FOUND")) throw error;
  }
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot restore into a bucket",
    where: last,
    why: "the source was not captured from one",
    hint: "restore it into a directory",
  });
}

/** Throws DESTINATION_NOT_EMPTY where something lies below the prefix. */
export async function assertEmptyBucket({ s3, bucket, prefix }: BucketTarget, signal: AbortSignal): Promise<void> {
  const where = `s3://${bucket}/${prefix}`;
  const command = new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix, MaxKeys: 1 });
  const page = await s3.send(command, { abortSignal: signal }).catch((error: unknown) => {
    throw fromS3(error, "Cannot list the bucket", where);
  });
  const [first] = page.Contents ?? [];
  if (first === undefined) return;
  throw new StillpointError("DESTINATION_NOT_EMPTY", {
    what: "Nothing was restored",
    where,
    why: `it holds ${first.Key}`,
    hint: "choose another prefix; or --over, which writes over objects of the same keys and leaves all others",
  });
}

/** So many objects are on their way at once; one that is larger than S3's smallest part goes alone, in parts. */
const AT_ONCE = 8;
const PART_BYTES = 5 * 1_048_576;

type UploadParams = Omit<ObjectHeaders, "StorageClass"> & { Bucket: string; Key: string };

/**
 * Puts every current object of the point back, with what it carries. The newest backup is read first, so that no object is
 * sent twice. The prefix that it was captured from is replaced by the target's.
 */
export async function restoreBucket(
  backups: readonly string[],
  plan: BucketPlan,
  ports: {
    read: ReadTar;
    target: BucketTarget;
    /** Of the source: what its keys begin with. */
    sourcePrefix: string;
    signal: AbortSignal;
    progress: (bytes: number) => void;
  },
): Promise<void> {
  const { read, target, sourcePrefix, signal, progress } = ports;
  const underWay = new Set<Promise<void>>();
  let failure: { error: unknown } | undefined;
  const settle = async (most: number) => {
    while (underWay.size > most) await Promise.race(underWay);
    if (failure !== undefined) throw failure.error;
  };

  async function write({ key, headers }: Planned, send: (at: UploadParams) => Promise<unknown>): Promise<void> {
    const { StorageClass: _theBucketsOwn, ...kept } = headers;
    const Key = target.prefix + key.slice(sourcePrefix.length);
    try {
      await send({ Bucket: target.bucket, Key, ...kept });
    } catch (error) {
      throw fromS3(error, "Cannot write an object", `s3://${target.bucket}/${Key}`);
    }
  }

  async function putSmall(planned: Planned, Body: Buffer): Promise<void> {
    assertSame(planned, createHash("sha256").update(Body));
    progress(Body.length);
    await write(planned, (at) => target.s3.send(new PutObjectCommand({ ...at, Body }), { abortSignal: signal }));
  }

  async function putLarge(planned: Planned, body: AsyncIterable<Uint8Array>): Promise<void> {
    const hash = createHash("sha256");
    async function* summed() {
      for await (const piece of body) {
        hash.update(piece);
        progress(piece.byteLength);
        yield piece;
      }
      // Before its end is told: what is not as it was captured becomes no object.
      assertSame(planned, hash);
    }
    await write(planned, async (at) => {
      const uploading = new Upload({
        client: target.s3,
        params: { ...at, Body: Readable.from(summed(), { objectMode: false }) },
        queueSize: 2,
      });
      const abort = () => void uploading.abort();
      signal.addEventListener("abort", abort, { once: true });
      try {
        await uploading.done();
      } finally {
        signal.removeEventListener("abort", abort);
      }
    });
  }

  for (const [at, backupId] of [...backups.entries()].toReversed()) {
    for await (const { entry, body } of readTar(read(backupId))) {
      signal.throwIfAborted();
      const planned = entry.type === "file" ? plan.take(entry.path, at) : undefined;
      if (planned === undefined || entry.type !== "file") continue;
      if (entry.size > PART_BYTES) {
        await putLarge(planned, body);
        continue;
      }
      const one = putSmall(planned, Buffer.concat(await Array.fromAsync(body)))
        .catch((error: unknown) => {
          failure ??= { error };
        })
        .finally(() => underWay.delete(one));
      underWay.add(one);
      await settle(AT_ONCE - 1);
    }
    await settle(0);
  }
  const missing = plan.missing();
  if (missing.length === 0) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "Objects of the point's list are in none of its backups",
    where: missing.join(", "),
  });
}

function assertSame({ key, sha256 }: Planned, hash: Hash): void {
  if (hash.digest("hex") === sha256) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "An object came out of the repository otherwise than it was captured",
    where: key,
  });
}
