import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";

export type Environment = Readonly<Record<string, string | undefined>>;

/** What a target is opened with, where it is not the environment's. Each kind of storage takes what it knows of it. */
export type StoreCredentials = {
  s3?: { accessKeyId: Secret; secretAccessKey: Secret; sessionToken?: Secret | undefined } | undefined;
  azure?: { account: string; accountKey?: Secret | undefined; sasToken?: Secret | undefined } | undefined;
  gcs?: { keyFile: string } | undefined;
};

/** An empty variable counts as one that is not set. */
export function variable(environment: Environment, name: string): string | undefined {
  return environment[name] === "" ? undefined : environment[name];
}

export function requiredVariable(environment: Environment, name: string, hint: string): string {
  const value = variable(environment, name);
  if (value !== undefined) return value;
  throw new StillpointError("SECRET_MISSING", {
    what: "Cannot open the object store",
    where: `environment variable ${name}`,
    why: "it is not set in this process",
    hint,
  });
}

const S3_HINT = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY and start again";

export function s3CredentialsOf(environment: Environment): NonNullable<StoreCredentials["s3"]> {
  const token = variable(environment, "AWS_SESSION_TOKEN");
  return {
    accessKeyId: new Secret(requiredVariable(environment, "AWS_ACCESS_KEY_ID", S3_HINT)),
    secretAccessKey: new Secret(requiredVariable(environment, "AWS_SECRET_ACCESS_KEY", S3_HINT)),
    ...(token === undefined ? {} : { sessionToken: new Secret(token) }),
  };
}

const AZURE_HINT = "set AZURE_STORAGE_ACCOUNT, and AZURE_STORAGE_KEY or AZURE_STORAGE_SAS_TOKEN, and start again";

export function azureCredentialsOf(environment: Environment, account?: string): NonNullable<StoreCredentials["azure"]> {
  const named = account ?? requiredVariable(environment, "AZURE_STORAGE_ACCOUNT", AZURE_HINT);
  const sasToken = variable(environment, "AZURE_STORAGE_SAS_TOKEN");
  if (sasToken !== undefined) return { account: named, sasToken: new Secret(sasToken) };
  return { account: named, accountKey: new Secret(requiredVariable(environment, "AZURE_STORAGE_KEY", AZURE_HINT)) };
}
