import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import {
  DeleteObjectCommand,
  PutBucketVersioningCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  S3Client,
} from "@aws-sdk/client-s3";
import { Secret } from "@stillpoint/contracts/secret";
import { filesSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext } from "@stillpoint/driver/driver";
import { ownBucket } from "@stillpoint/testkit/s3";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { openBucketCapture } from "../src/bucket/capture-bucket.ts";

type Access = { accessKeyId: string; secretAccessKey: string };

export function bucketContext(directory: string, access: Access, signal = new AbortController().signal): DriverContext {
  return {
    directory,
    signal,
    secret: (reference) => new Secret(reference.includes("SECRET") ? access.secretAccessKey : access.accessKeyId),
    monotonicMs: () => performance.now(),
    now: Date.now,
    log: () => undefined,
    tools: {},
  };
}

/** A bucket of the shared server as a source, and what the tests do to it. */
export async function bucketSource({ versioned = false, locked = false } = {}) {
  const facts = await ownBucket({ locked });
  const { endpoint, region, accessKeyId, secretAccessKey, bucket: Bucket } = facts;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  if (versioned)
    await client.send(new PutBucketVersioningCommand({ Bucket, VersioningConfiguration: { Status: "Enabled" } }));
  return {
    Bucket,
    client,
    url: (prefix = "") => `s3://${Bucket}/${prefix}?endpoint=${endpoint}`,
    access: { accessKeyId, secretAccessKey },
    put: (Key: string, Body: string | Buffer, rest: Partial<PutObjectCommandInput> = {}) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body, ...rest })),
    remove: (Key: string) => client.send(new DeleteObjectCommand({ Bucket, Key })),
    [Symbol.dispose]: () => client.destroy(),
  };
}

/** A capture of a bucket, and the directory that its backups are restored into. */
export async function bucketCapture(url: string, access: Access, rule: object = {}, rest: object = {}) {
  await using stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory("bucket"));
  const [restored, own] = [join(path, "restored"), join(path, "own")];
  for (const each of [restored, own]) await mkdir(each);
  const source = filesSource.parse({ kind: "files", bucket: { url, ...rule }, ...rest });
  if (source.bucket === undefined) throw new Error("no bucket");
  const capture = stack.use(await openBucketCapture({ ...source, bucket: source.bucket }, bucketContext(own, access)));
  const tree = directoryTree(restored);
  const moved = stack.move();
  return {
    restored,
    capture,
    tree,
    mark: (fenced = true) => capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced }),
    [Symbol.asyncDispose]: () => moved.disposeAsync(),
  };
}
