import type { KMSClient } from "@aws-sdk/client-kms";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Opener } from "./opener.ts";

type Environment = Readonly<Record<string, string | undefined>>;

export type KmsOptions = {
  /** ARN, id or alias of a symmetric key. */
  key: string;
  /** Said to KMS at each use, beside the repository's and the slot's id: policies may ask for it, its audit log shows it. */
  context?: Readonly<Record<string, string>>;
  /** Region and credentials as every AWS program takes them. */
  environment: Environment;
};

const SECRET_LENGTH = 32;
const TIMEOUT_MS = 5_000;

/** What it says of a ciphertext that another key made, or this key with another context. */
const NOT_THIS_ONE = new Set(["InvalidCiphertextException", "IncorrectKeyException"]);
/** What may pass without anybody changing anything. */
const PASSING = new Set([
  "KMSInternalException",
  "DependencyTimeoutException",
  "KeyUnavailableException",
  "ThrottlingException",
  "LimitExceededException",
  "TimeoutError",
]);

function regionOf({ key, environment }: KmsOptions): string {
  const region = /^arn:[^:]+:kms:([^:]+):/.exec(key)?.[1] ?? environment.AWS_REGION ?? environment.AWS_DEFAULT_REGION;
  if (region !== undefined) return region;
  throw new StillpointError("CONFIG_INVALID", {
    what: "Cannot use AWS KMS",
    where: key,
    why: "neither the key's name nor AWS_REGION says which region it is in",
    hint: "name the key by its whole ARN",
  });
}

async function clientFor(options: KmsOptions): Promise<KMSClient> {
  // Only who has a slot of this method pays for loading it.
  const { KMSClient } = await import("@aws-sdk/client-kms");
  const { AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY, AWS_SESSION_TOKEN, AWS_ENDPOINT_URL_KMS, AWS_ENDPOINT_URL } =
    options.environment;
  const endpoint = AWS_ENDPOINT_URL_KMS ?? AWS_ENDPOINT_URL;
  return new KMSClient({
    region: regionOf(options),
    maxAttempts: 3,
    requestHandler: { connectionTimeout: TIMEOUT_MS, requestTimeout: TIMEOUT_MS, throwOnRequestTimeout: true },
    ...(endpoint === undefined ? {} : { endpoint }),
    // Without them the SDK looks where AWS programs look: web identity, container, instance.
    ...(AWS_ACCESS_KEY_ID === undefined || AWS_SECRET_ACCESS_KEY === undefined
      ? {}
      : {
          credentials: {
            accessKeyId: AWS_ACCESS_KEY_ID,
            secretAccessKey: AWS_SECRET_ACCESS_KEY,
            ...(AWS_SESSION_TOKEN === undefined ? {} : { sessionToken: AWS_SESSION_TOKEN }),
          },
        }),
  });
}

function fromKms(error: unknown, key: string): StillpointError {
  const name = error instanceof Error ? error.name : "";
  const status = (error as { $metadata?: { httpStatusCode?: number } }).$metadata?.httpStatusCode; // AWS's shape, read only
  // Without a status nothing was answered: but a missing credential is no matter of waiting.
  const isPassing =
    PASSING.has(name) || (status === undefined ? name !== "CredentialsProviderError" : status === 429 || status >= 500);
  return new StillpointError(isPassing ? "KEY_UNREACHABLE" : "KEY_DENIED", {
    what: isPassing ? "AWS KMS does not answer" : "AWS KMS refuses",
    where: key,
    why: error instanceof Error ? `${error.message} (${name})` : String(error),
    hint: isPassing
      ? "wait, or open the repository with another key slot"
      : "the account needs kms:Encrypt and kms:Decrypt on an enabled symmetric key; or open with another key slot",
    cause: error,
  });
}

/**
 * AWS KMS. Only the key that is configured here is used, whatever a slot says: a slot that KMS made with another is passed
 * over.
 */
export function kmsOpener(options: KmsOptions): Opener {
  const { key } = options;
  let made: Promise<KMSClient> | undefined;
  const client = () => {
    made ??= clientFor(options);
    return made;
  };
  const contextOf = (more: Readonly<Record<string, string>>, repositoryId: string, slot: string) => ({
    ...more,
    "stillpoint:repository": repositoryId,
    "stillpoint:slot": slot,
  });
  return {
    method: "aws-kms",
    shown: `AWS KMS key ${key}`,
    async seal({ slot, repositoryId, random }) {
      const { EncryptCommand } = await import("@aws-sdk/client-kms");
      const secret = random(SECRET_LENGTH);
      const kms = await client();
      const context = options.context ?? {};
      const answer = await kms
        .send(
          new EncryptCommand({
            KeyId: key,
            Plaintext: secret,
            EncryptionContext: contextOf(context, repositoryId, slot),
          }),
        )
        .catch((error: unknown) => {
          throw fromKms(error, key);
        });
      const wrapped = Buffer.from(answer.CiphertextBlob ?? []).toString("base64");
      return { fields: { kms: { keyArn: answer.KeyId ?? key, context: { ...context }, wrapped } }, secret };
    },
    async open({ slot, kms: field }, repositoryId) {
      if (field === undefined) return undefined;
      const { DecryptCommand } = await import("@aws-sdk/client-kms");
      const kms = await client();
      try {
        const { Plaintext } = await kms.send(
          new DecryptCommand({
            KeyId: key,
            CiphertextBlob: Buffer.from(field.wrapped, "base64"),
            EncryptionContext: contextOf(field.context, repositoryId, slot),
          }),
        );
        return Plaintext?.length === SECRET_LENGTH ? Plaintext : undefined;
      } catch (error) {
        if (error instanceof Error && NOT_THIS_ONE.has(error.name)) return undefined;
        throw fromKms(error, key);
      }
    },
  };
}
