import { isDeepStrictEqual } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceKind } from "@stillpoint/contracts/names";
import { type ShipSettings, shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { PlanRevision } from "@stillpoint/contracts/state";
import type { PlansInForce } from "./plans-in-force.ts";

/** What a plan says about one source's log: how it is shipped, or why it is not. */
export type Wanted = { isWanted: true; spec: SourceSpec; settings: ShipSettings } | { isWanted: false; why: string };

export type Asked = { source: string; kind: SourceKind; site: string };

/** The command is for a kind at a site: a source that moved to another of them is another's. */
export function wantedOf(revision: PlanRevision | undefined, asked: Asked): Wanted {
  const not = (why: string): Wanted => ({ isWanted: false, why });
  if (revision === undefined) return not("there is no such plan any more");
  const spec = revision.definition.sources[asked.source];
  if (spec === undefined) return not("its plan does not have it any more");
  if (spec.kind !== asked.kind) return not(`it is of kind ${spec.kind} now`);
  if (spec.at !== asked.site) return not(`it is at ${spec.at} now`);
  const settings = shipSettings(spec);
  return settings === undefined ? not("its plan wants no log of it") : { isWanted: true, spec, settings };
}

/** `changed` fires when the plan says something else than `now`; a revision that leaves this source alone is none. */
export function followWanted(plans: Pick<PlansInForce, "get" | "onChange">, plan: string, asked: Asked) {
  const now = wantedOf(plans.get(plan), asked);
  const change = new AbortController();
  const listening = plans.onChange(plan, () => {
    if (isDeepStrictEqual(wantedOf(plans.get(plan), asked), now)) return;
    change.abort(
      new StillpointError("CANCELLED", { what: "The plan of this source has changed", where: asked.source }),
    );
  });
  return { now, changed: change.signal, [Symbol.dispose]: () => listening[Symbol.dispose]() };
}
