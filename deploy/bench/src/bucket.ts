import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { StillpointError } from "@stillpoint/contracts/errors";
import { ensureVersitygw } from "@stillpoint/parts/versitygw-part";
import { startVersitygw } from "@stillpoint/parts/versitygw-server";
import type { PeerBucket } from "@stillpoint/repository/bench/peers";

export type Bucket = AsyncDisposable & { peer: PeerBucket; url: string; environment: Record<string, string> };

/** An empty bucket of an S3 server on this machine; undefined, with the reason told, where none can be had. */
export async function emptyBucket(parts: string, log: (line: string) => void): Promise<Bucket | undefined> {
  const part = await ensureVersitygw({ directory: parts, log }).catch((error: unknown) => {
    if (!(error instanceof StillpointError) || error.code !== "STORE_NOT_INSTALLED") throw error;
    log(`no figures for S3: ${error.message}`);
    return undefined;
  });
  if (part === undefined) return undefined;
  await using making = new AsyncDisposableStack();
  const dir = await mkdtemp(join(tmpdir(), "stillpoint-bench-s3-"));
  making.defer(() => rm(dir, { recursive: true }));
  const server = making.use(await startVersitygw({ part, dir }));
  const { endpoint, region, accessKeyId, secretAccessKey } = server;
  const bucket = "bench";
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  await client.send(new CreateBucketCommand({ Bucket: bucket }));
  client.destroy();
  const made = making.move();
  return {
    peer: { endpoint, bucket, region, accessKeyId, secretAccessKey },
    url: `s3://${bucket}/repository?endpoint=${encodeURIComponent(endpoint)}&region=${region}`,
    environment: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    [Symbol.asyncDispose]: () => made.disposeAsync(),
  };
}
