import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { StillpointError } from "@stillpoint/contracts/errors";
import { ensureVersitygw, type VersitygwPart } from "@stillpoint/parts/versitygw-part";
import { startVersitygw } from "@stillpoint/parts/versitygw-server";
import { type BenchOptions, benchVaultPath } from "@stillpoint/repository/bench/vault-path";
import type { Area } from "./area.ts";

const PARTS = fileURLToPath(new URL("../../../.stillpoint/parts", import.meta.url));
const BUCKET = "bench";

/** The S3 server, or undefined with the reason told where it cannot be had: the figures of local disk stand without it. */
async function s3Part(log: (line: string) => void): Promise<VersitygwPart | undefined> {
  try {
    return await ensureVersitygw({ directory: PARTS, log });
  } catch (error) {
    if (!(error instanceof StillpointError) || error.code !== "STORE_NOT_INSTALLED") throw error;
    log(`no figures for S3: ${error.message}`);
    return undefined;
  }
}

/** Tar in, packs on local disk and on S3 out, and back. */
export const vault: Area = async (options) => {
  const part = await s3Part(options.log);
  if (part === undefined) return await benchVaultPath(options);
  const dir = await mkdtemp(join(tmpdir(), "stillpoint-bench-s3-"));
  try {
    await using server = await startVersitygw({ part, dir });
    const { endpoint, region, accessKeyId, secretAccessKey } = server;
    const client = new S3Client({
      endpoint,
      region,
      forcePathStyle: true,
      credentials: { accessKeyId, secretAccessKey },
    });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    client.destroy();
    const s3: BenchOptions["s3"] = {
      url: `s3://${BUCKET}/repository?endpoint=${encodeURIComponent(endpoint)}&region=${region}`,
      environment: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    };
    return await benchVaultPath({ ...options, s3 });
  } finally {
    await rm(dir, { recursive: true });
  }
};
