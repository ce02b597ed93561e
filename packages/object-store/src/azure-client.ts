import {
  AnonymousCredential,
  ContainerClient,
  newPipeline,
  type Pipeline,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import type { Secret } from "@stillpoint/contracts/secret";
import type { Agents } from "./network.ts";

export type AzureCredentials = { accountKey: Secret } | { sasToken: Secret };

function pipelineOver(agents: Agents, credential: StorageSharedKeyCredential | AnonymousCredential): Pipeline {
  // Retrying is the business of the retry wrapper, for every storage alike.
  const pipeline = newPipeline(credential, { retryOptions: { maxTries: 1 } });
  pipeline.factories.push({
    create: (next) => ({
      sendRequest(request) {
        request.agent = request.url.startsWith("https:") ? agents.https : agents.http;
        return next.sendRequest(request);
      },
    }),
  });
  return pipeline;
}

export type AzurePlace = {
  account: string;
  container: string;
  /** A private endpoint or an emulator, with the account in its path where it wants that; absent: Azure's own. */
  endpoint?: string | undefined;
  credentials: AzureCredentials;
};

/** The container over this target's own connections. */
export function azureContainer(place: AzurePlace, agents: Agents): ContainerClient {
  const { account, credentials } = place;
  const endpoint = (place.endpoint ?? `https://${account}.blob.core.windows.net`).replace(/\/$/, "");
  const url = `${endpoint}/${place.container}`;
  if ("accountKey" in credentials) {
    const shared = new StorageSharedKeyCredential(account, credentials.accountKey.reveal());
    return new ContainerClient(url, pipelineOver(agents, shared));
  }
  const token = credentials.sasToken.reveal().replace(/^\?/, "");
  return new ContainerClient(`${url}?${token}`, pipelineOver(agents, new AnonymousCredential()));
}
