import type { Sandbox } from "@stillpoint/driver/driver";

/** What the store's own checks of a restored server did not pass. */
export async function failedChecks(sandbox: Pick<Sandbox, "query">): Promise<string[]> {
  const failed: string[] = [];
  for await (const row of sandbox.query({ type: "store", id: "store" }))
    if ("verdict" in row && row.verdict !== "pass") failed.push(`${row.name}: ${row.detail}`);
  return failed;
}
