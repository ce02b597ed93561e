import { randomUUID } from "node:crypto";
import { z } from "zod";
import { askShared } from "./shared-servers-client.ts";

const azureFacts = z.object({ endpoint: z.string(), account: z.string(), accountKey: z.string() });
export type SharedAzure = z.infer<typeof azureFacts>;

/** The one Azurite of this test run. */
export async function sharedAzure(): Promise<SharedAzure & { readonly container: string }> {
  return { ...(await askShared("azure", azureFacts)), container: `test-${randomUUID()}` };
}
