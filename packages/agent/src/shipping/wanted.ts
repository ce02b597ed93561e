import { isDeepStrictEqual } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { SourceKind } from "@stillpoint/contracts/names";
import { type ShipSettings, shipSettings } from "@stillpoint/contracts/ship";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { PlanInForce, PlansInForce } from "./plans-in-force.ts";

/** What a plan says about one source's log: how it is shipped, or why it is not. */
export type Wanted =
  | { isWanted: true; spec: SourceSpec; settings: ShipSettings }
  /** `letsGo`: the plan itself says so, and no other agent's shipper goes on with what the source keeps. */
  | { isWanted: false; why: string; letsGo: boolean };

export type Asked = { source: string; kind: SourceKind; site: string };

/** The command is for a kind at a site: a source that moved to another of them is another's. */
export function wantedOf(revision: PlanInForce, asked: Asked): Wanted {
  const not = (why: string, letsGo = true): Wanted => ({ isWanted: false, why, letsGo });
  // A bus that lost its memory says nothing either: what the source keeps stays, in case the plan comes back.
  if (revision === undefined) return not("there is no such plan", false);
  if (revision === "deleted") return not("its plan was deleted");
  const spec = revision.definition.sources[asked.source];
  if (spec === undefined) return not("its plan does not have it any more");
  if (spec.kind !== asked.kind) return not(`it is of kind ${spec.kind} now`);
  if (spec.at !== asked.site) return not(`it is at ${spec.at} now`, shipSettings(spec) === undefined);
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
