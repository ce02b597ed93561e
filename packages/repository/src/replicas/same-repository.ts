import { StillpointError } from "@stillpoint/contracts/errors";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { CONFIG_NAME, epochName } from "../format/kinds.ts";

/** What names the repository: whose bytes are under a MAC, and the same on every target. */
const NAMING = [CONFIG_NAME, epochName(1)];

/** A target holds this repository, or nothing: what is of two would be a repository of neither. */
export async function assertSameRepository(
  primary: ObjectStore,
  target: ObjectStore,
  signal?: AbortSignal,
): Promise<void> {
  for (const name of NAMING) {
    if ((await target.head(name, signal)) === undefined) continue;
    const [ours, theirs] = await Promise.all([
      primary.get(name, undefined, signal),
      target.get(name, undefined, signal),
    ]);
    if (Buffer.compare(ours, theirs) === 0) continue;
    throw new StillpointError("CONFLICT", {
      what: "Did not replicate",
      where: target.url,
      why: `its ${name} is another than the primary's: another repository lies there, or this one is damaged`,
      hint: "give each repository a place of its own; `stillpoint repo check` tells whether the object is damaged",
    });
  }
}
