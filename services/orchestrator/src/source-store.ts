import type { Bucket } from "@stillpoint/bus/bucket";
import type { RunSource } from "@stillpoint/contracts/state";
import type { BUCKETS } from "@stillpoint/contracts/topology";

/** What each source brought to a run: one key per source. Only the run's owner writes it. */
export function sourceStore(bucket: Bucket<(typeof BUCKETS)["runSources"]>, runId: string) {
  return {
    async read(source: string): Promise<RunSource | undefined> {
      return (await bucket.get(`${runId}.${source}`))?.value;
    },
    async write(value: RunSource): Promise<void> {
      await bucket.put(`${runId}.${value.source}`, value);
    },
  };
}
export type SourceStore = ReturnType<typeof sourceStore>;
