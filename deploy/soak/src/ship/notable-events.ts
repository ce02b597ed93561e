import type { GuestBus } from "@stillpoint/cli/reach";
import { captureAnomaly, logGapped, runFailed, shippingFailed } from "@stillpoint/contracts/events";

/** One line for each event that nobody wants, as it comes, until disposal. */
export async function tellNotableEvents(bus: GuestBus, say: (line: string) => void): Promise<AsyncDisposable> {
  const stop = new AbortController();
  const events = bus.followEvents([captureAnomaly, logGapped, runFailed, shippingFailed], {
    after: await bus.lastEventSequence(),
    signal: stop.signal,
  });
  const told = (async () => {
    for await (const fact of events) {
      if (fact.type === "current") continue;
      const { body } = fact;
      if ("gap" in body) say(`  ! gap in ${body.gap.source}: ${body.gap.why}`);
      else if ("findings" in body)
        say(`  ! ${body.source} is unusual: ${body.findings.map((each) => JSON.stringify(each)).join("; ")}`);
      else if ("attempt" in body)
        say(`  ! the log of ${body.source} is not shipped: ${body.error.what}: ${body.error.why ?? ""}`);
      else say(`  ! a run failed: ${body.error.what}: ${body.error.why ?? ""}`);
    }
  })().catch((error: unknown) => {
    if (!stop.signal.aborted) say(`  ! events are heard no more: ${String(error)}`);
  });
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await told;
    },
  };
}
