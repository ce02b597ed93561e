import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryStore } from "./directory.ts";
import type { Network } from "./network.ts";
import type { ObjectStore } from "./object-store.ts";
import type { S3LockMode } from "./s3-locks.ts";
import {
  azureCredentialsOf,
  type Environment,
  type StoreCredentials,
  s3CredentialsOf,
  variable,
} from "./store-credentials.ts";
import type { StorePlace } from "./store-url.ts";

export type StoreAccess = {
  environment: Environment;
  credentials?: StoreCredentials | undefined;
  /** Goes before the URL's. */
  endpoint?: string | undefined;
  network?: Network | undefined;
  lockMode?: S3LockMode | undefined;
};

type BucketPlace = Exclude<StorePlace, { kind: "directory" }>;

export function s3Region({ region }: BucketPlace["parameters"], environment: Environment): string {
  return region ?? variable(environment, "AWS_REGION") ?? "us-east-1";
}

async function openS3({ bucket, prefix, parameters }: BucketPlace, access: StoreAccess): Promise<ObjectStore> {
  const { environment, credentials, network, lockMode } = access;
  const { s3Store } = await import("./s3.ts");
  return s3Store({
    ...(credentials?.s3 ?? s3CredentialsOf(environment)),
    bucket,
    prefix,
    region: s3Region(parameters, environment),
    endpoint: access.endpoint ?? parameters.endpoint,
    network,
    lockMode,
  });
}

async function openAzure({ bucket, prefix, parameters }: BucketPlace, access: StoreAccess): Promise<ObjectStore> {
  const { account, accountKey, sasToken } =
    access.credentials?.azure ?? azureCredentialsOf(access.environment, parameters.account);
  const credentials = accountKey === undefined ? sasToken && { sasToken } : { accountKey };
  if (credentials === undefined)
    throw new StillpointError("SECRET_MISSING", {
      what: "Cannot open the object store",
      where: `azure://${bucket}`,
      why: "neither an account key nor a SAS token is given",
    });
  const { azureStore } = await import("./azure.ts");
  const endpoint = access.endpoint ?? parameters.endpoint;
  return azureStore({ account, credentials, container: bucket, prefix, endpoint, network: access.network });
}

async function openGcs({ bucket, prefix, parameters }: BucketPlace, access: StoreAccess): Promise<ObjectStore> {
  const keyFile = access.credentials?.gcs?.keyFile ?? variable(access.environment, "GOOGLE_APPLICATION_CREDENTIALS");
  const credentials = parameters.credentials === "none" ? "none" : keyFile === undefined ? undefined : { keyFile };
  const { gcsStore } = await import("./gcs.ts");
  return gcsStore({
    bucket,
    prefix,
    credentials,
    endpoint: access.endpoint ?? parameters.endpoint,
    network: access.network,
  });
}

/** The storage itself, without any wrapper. A kind's library is loaded by who uses it, and by nobody else. */
export async function openStore(place: StorePlace, access: StoreAccess): Promise<ObjectStore> {
  switch (place.kind) {
    case "directory":
      return directoryStore(place.directory);
    case "s3":
      return openS3(place, access);
    case "azure":
      return openAzure(place, access);
    case "gcs":
      return openGcs(place, access);
  }
}
