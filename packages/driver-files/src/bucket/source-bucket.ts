import type { S3Client } from "@aws-sdk/client-s3";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { BucketRule } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { agentsFor, closeAgents } from "@stillpoint/object-store/network";
import { s3Client } from "@stillpoint/object-store/s3-client";
import { fromS3 } from "@stillpoint/object-store/s3-errors";
import { parseStoreUrl } from "@stillpoint/object-store/store-url";

/** A bucket, or what lies below a prefix of it, as it is spoken to. */
export type SourceBucket = Disposable & {
  s3: S3Client;
  bucket: string;
  /** Empty, or ends in `/`. */
  prefix: string;
  signal: AbortSignal;
  where: (key: string) => string;
};

/** Calls of the client in all: what a server refuses for a moment, it takes a second later. */
const ATTEMPTS = 4;

export function openBucket(rule: BucketRule, context: Pick<DriverContext, "secret" | "signal">): SourceBucket {
  const place = parseStoreUrl(rule.url);
  if (place.kind !== "s3") throw new StillpointError("CONFIG_INVALID", { what: "Not a bucket of S3", where: rule.url });
  const { bucket, prefix, parameters } = place;
  const agents = agentsFor();
  const s3 = s3Client(
    {
      region: parameters.region ?? "us-east-1",
      endpoint: parameters.endpoint,
      pathStyle: rule.pathStyle,
      attempts: ATTEMPTS,
      accessKeyId: context.secret(rule.accessKeyId),
      secretAccessKey: context.secret(rule.secretAccessKey),
      sessionToken: rule.sessionToken === undefined ? undefined : context.secret(rule.sessionToken),
    },
    agents,
  );
  return {
    s3,
    bucket,
    prefix,
    signal: context.signal,
    where: (key) => `s3://${bucket}/${key}`,
    [Symbol.dispose]() {
      s3.destroy();
      closeAgents(agents);
    },
  };
}

const CODES = {
  BUCKET_MISSING: "SOURCE_UNREACHABLE",
  STORE_UNREACHABLE: "SOURCE_UNREACHABLE",
  STORE_DENIED: "SOURCE_DENIED",
} as const;

/** What the client threw, as trouble of a source. */
export function bucketError(error: unknown, what: string, where: string): unknown {
  const known = fromS3(error, what, where);
  if (!(known instanceof StillpointError)) return known;
  const { why, hint } = known;
  const code = known.code in CODES ? CODES[known.code as keyof typeof CODES] : undefined; // asked just before
  if (code === undefined) return toStillpointError(known, what);
  return new StillpointError(code, {
    what,
    where,
    why,
    hint: code === "SOURCE_DENIED" ? "let the source's access key list and read the bucket" : hint,
    cause: error,
  });
}

/** The host and port that the bucket answers at, for the egress probe. */
export function bucketAddress(rule: BucketRule): string {
  const place = parseStoreUrl(rule.url);
  const parameters = place.kind === "s3" ? place.parameters : {};
  const url = new URL(parameters.endpoint ?? `https://s3.${parameters.region ?? "us-east-1"}.amazonaws.com`);
  return `${url.hostname}:${url.port === "" ? (url.protocol === "https:" ? 443 : 80) : url.port}`;
}
