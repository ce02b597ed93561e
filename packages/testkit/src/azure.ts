import { randomUUID } from "node:crypto";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { z } from "zod";
import { askShared } from "./shared-servers-client.ts";

const azureFacts = z.object({ endpoint: z.string(), account: z.string(), accountKey: z.string() });

/** The one Azurite of this test run. */
export async function sharedAzure(): Promise<z.infer<typeof azureFacts>> {
  return askShared("azure", azureFacts);
}

/** An empty container on it. It goes with the server: its name is used once. */
export async function ownContainer(): Promise<z.infer<typeof azureFacts> & { readonly container: string }> {
  const facts = await sharedAzure();
  const container = `test-${randomUUID()}`;
  const credential = new StorageSharedKeyCredential(facts.account, facts.accountKey);
  await new ContainerClient(`${facts.endpoint}/${container}`, credential).create();
  return { ...facts, container };
}
