import { StillpointError } from "@stillpoint/contracts/errors";
import type { RepositoryContext } from "../repository-context.ts";
import type { CondemnedState } from "./condemned-state.ts";
import { type Reached, reached } from "./mark.ts";
import { type Roots, readRoots } from "./read-roots.ts";
import type { Pin } from "./roots.ts";
import { type Scan, scan } from "./scan.ts";
import type { GarbageSettings } from "./settings.ts";

/** Bytes that nothing of an earlier kind needs: they go when this ends, and nothing else comes in between. */
export type Pinned = { pin: Pin; what: string; untilMs: number | undefined; bytes: number };

export type Survey = {
  nowMs: number;
  state: CondemnedState;
  roots: Roots;
  reach: Reached;
  scan: Scan;
  pinned: Pinned[];
  /** Backups in no point that cannot be read: they can never be sealed. */
  broken: string[];
  /** Of what was stored since nothing is condemned. */
  fenceMs: number;
};

/** Storages tell times in whole seconds at worst. */
const COARSE_MS = 2_000;

export type SurveyProgress = { backups: number; of: number };

/**
 * Looks at everything and changes nothing: what is kept and why, and which objects no root reaches. Fails where damage hides
 * what a kept point needs: then nothing may be deleted before it is repaired.
 */
export async function survey(
  context: RepositoryContext,
  settings: GarbageSettings,
  options: { signal?: AbortSignal | undefined; onProgress?: ((progress: SurveyProgress) => void) | undefined } = {},
): Promise<Survey> {
  const { signal, onProgress } = options;
  const nowMs = await context.store.now(signal);
  const roots = await readRoots(context, nowMs, settings, signal);
  const state = await context.condemned.load(signal);
  await context.loader.load(signal);
  const [damaged] = context.loader.damaged.values();
  if (damaged !== undefined)
    throw new StillpointError("OBJECT_DAMAGED", {
      what: "Collected no garbage",
      where: damaged.where,
      why: "an index object is damaged, so that nobody can tell what is needed",
      hint: "stillpoint repo repair",
      cause: damaged,
    });

  const reach = reached(context);
  const pinned = new Map<string, Pinned>();
  const broken: string[] = [];
  let walked = 0;
  for (const { backupId, pin, what, untilMs } of roots.roots) {
    const bytes = await reach.walk(backupId, pin !== "unsealed" && pin !== "lease", signal);
    if (bytes === undefined) broken.push(backupId);
    else if (pin !== "point" && bytes > 0) {
      const before = pinned.get(`${pin} ${what}`)?.bytes ?? 0;
      pinned.set(`${pin} ${what}`, { pin, what, untilMs, bytes: before + bytes });
    }
    onProgress?.({ backups: ++walked, of: roots.roots.length });
  }

  const writers = roots.leases.filter(({ role }) => role === "writer");
  const begun = writers.map(({ sinceMs, storedMs }) => sinceMs ?? storedMs);
  const fenceMs = Math.min(nowMs - settings.youngMs, ...begun) - COARSE_MS;
  const found = await scan(context, reach, roots, { nowMs, state, fenceMs, settings, broken, signal });
  return { nowMs, state, roots, reach, scan: found, pinned: [...pinned.values()], broken, fenceMs };
}
