import { randomUUID } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { ensureVersitygw } from "@stillpoint/parts/versitygw-part";
import { startVersitygw } from "@stillpoint/parts/versitygw-server";
import { z } from "zod";
import { inOwnDirectory } from "./own-server.ts";
import { PARTS_DIRECTORY } from "./parts-directory.ts";
import { askShared } from "./shared-servers-client.ts";

export const s3Facts = z.object({
  endpoint: z.string(),
  region: z.string(),
  accessKeyId: z.string(),
  secretAccessKey: z.string(),
  /** Each directory in it is a bucket and each file in that an object, to be flipped or truncated behind S3's back. */
  bucketsDirectory: z.string(),
});

export type SharedS3 = z.infer<typeof s3Facts>;

/** The one S3 server of this test run, with path-style addresses. */
export async function sharedS3(): Promise<SharedS3> {
  return askShared("s3", s3Facts);
}

/** A server of the test's own, with one empty bucket, that publishes on a subject of NATS what happens to its objects. */
export async function ownS3(notify: { natsUrl: string; subject: string }) {
  const part = await ensureVersitygw({ directory: PARTS_DIRECTORY });
  const server = await inOwnDirectory("s3", (dir) => startVersitygw({ part, dir, notify }));
  return Object.assign(server, { bucket: await makeBucket(server, false) });
}

/** An empty bucket on the shared server, with object lock where that is asked for. It goes with the server: its name is used once. */
export async function ownBucket({ locked = false } = {}): Promise<SharedS3 & { readonly bucket: string }> {
  const facts = await sharedS3();
  return { ...facts, bucket: await makeBucket(facts, locked) };
}

async function makeBucket(facts: SharedS3, locked: boolean): Promise<string> {
  const { accessKeyId, secretAccessKey, endpoint, region } = facts;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  const bucket = `test-${randomUUID()}`;
  await client.send(new CreateBucketCommand({ Bucket: bucket, ObjectLockEnabledForBucket: locked }));
  client.destroy();
  return bucket;
}
