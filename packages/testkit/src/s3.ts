import { randomUUID } from "node:crypto";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { z } from "zod";
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

/** An empty bucket on the shared server, with object lock where that is asked for. It goes with the server: its name is used once. */
export async function ownBucket({ locked = false } = {}): Promise<SharedS3 & { readonly bucket: string }> {
  const facts = await sharedS3();
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
  return { ...facts, bucket };
}
