import { S3Client } from "@aws-sdk/client-s3";
import type { Secret } from "@stillpoint/contracts/secret";
import type { Agents } from "./network.ts";

export type S3Access = {
  region: string;
  /** A server of one's own, or a private endpoint; absent: AWS. */
  endpoint?: string | undefined;
  accessKeyId: Secret;
  secretAccessKey: Secret;
  sessionToken?: Secret | undefined;
  /** The bucket's name in the path and not in the host. Default: where an endpoint is given. */
  pathStyle?: boolean | undefined;
  /** Calls in all, the first included; default 1, for retrying is the business of the retry wrapper. */
  attempts?: number;
};

const silently = () => undefined;

/** The client over this target's own connections. */
export function s3Client(access: S3Access, agents: Agents): S3Client {
  return new S3Client({
    region: access.region,
    credentials: {
      accessKeyId: access.accessKeyId.reveal(),
      secretAccessKey: access.secretAccessKey.reveal(),
      ...(access.sessionToken === undefined ? {} : { sessionToken: access.sessionToken.reveal() }),
    },
    ...(access.endpoint === undefined ? {} : { endpoint: access.endpoint }),
    forcePathStyle: access.pathStyle ?? access.endpoint !== undefined,
    requestHandler: { httpAgent: agents.http, httpsAgent: agents.https },
    maxAttempts: access.attempts ?? 1,
    // Without one of its own the client warns on standard error of each put that failed; the error itself says it.
    logger: { trace: silently, debug: silently, info: silently, warn: silently, error: silently },
    // One round trip for each put: what is refused is refused with its answer all the same.
    expectContinueHeader: false,
    // Every byte is authenticated by the repository; servers other than AWS's refuse the newer checksums as trailers.
    requestChecksumCalculation: "WHEN_REQUIRED",
    responseChecksumValidation: "WHEN_REQUIRED",
  });
}
