import { randomUUID } from "node:crypto";
import { z } from "zod";
import { askShared } from "./shared-servers-client.ts";

/** An empty bucket on the one fake-gcs-server of this test run. It goes with the server: its name is used once. */
export async function ownGcsBucket(): Promise<{ endpoint: string; bucket: string }> {
  const { endpoint } = await askShared("gcs", z.object({ endpoint: z.string() }));
  const bucket = `test-${randomUUID()}`;
  const made = await fetch(`${endpoint}/storage/v1/b?project=test`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ name: bucket }),
  });
  if (!made.ok) throw new Error(`cannot make a bucket: HTTP ${made.status}: ${await made.text()}`);
  await made.body?.cancel();
  return { endpoint, bucket };
}
