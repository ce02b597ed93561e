import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { driverContext } from "./driver-context.ts";
import type { AgentShared } from "./own-source.ts";

const EXAMINE_TIMEOUT_MS = 25_000;

/** Opens the source and lets it go: what a capture would meet, without one. */
export async function examine<Spec extends SourceSpec>(shared: AgentShared<Spec>, source: string, spec: SourceSpec) {
  if (spec.kind !== shared.driver.kind) {
    throw new StillpointError("INVALID_REQUEST", { what: "Cannot examine a source of another kind", where: source });
  }
  await using directory = await claimDirectory(shared.workDirectory, "examine");
  const signal = AbortSignal.any([shared.context.signal, AbortSignal.timeout(EXAMINE_TIMEOUT_MS)]);
  // The kind is the driver's, as was just checked.
  await using capture = await shared.driver.open(
    spec as Spec,
    driverContext(shared, directory.path, signal, { source }),
  );
  const { version, notes } = capture.description;
  return { version, notes };
}
