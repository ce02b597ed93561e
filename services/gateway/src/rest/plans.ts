import { StillpointError } from "@stillpoint/contracts/errors";
import { name, toInstant } from "@stillpoint/contracts/names";
import { type PlanSummary, pageParameters, planDetail, planSummary, runAccepted } from "@stillpoint/contracts/rest";
import type { PlanRevision } from "@stillpoint/contracts/state";
import { nextInstant, parseSchedule } from "@stillpoint/schedule/schedule";
import { z } from "zod";
import { warningsOf } from "../check-plan.ts";
import type { Routes } from "./app.ts";
import { idempotencyHeaders, type RestPorts } from "./ports.ts";
import { PROBLEMS } from "./problems.ts";

const tags = ["plans"];
const params = z.object({ plan: name });

export function planRoutes(routes: Routes, { buckets, asker, now }: RestPorts): void {
  routes.get(
    "/plans",
    {
      schema: {
        tags,
        summary: "The plans in force",
        querystring: pageParameters.pick({ limit: true }).extend({ after: name.optional() }),
        response: { 200: z.object({ plans: z.array(planSummary), next: name.optional() }), ...PROBLEMS },
      },
    },
    async ({ query: { limit, after } }) => {
      const all = (await buckets.plans.entries()).map(({ value }) => value);
      const rest = all.sort(byName).filter(({ plan }) => after === undefined || plan > after);
      const shown = rest.slice(0, limit);
      const last = shown.at(-1)?.plan;
      return {
        plans: shown.map((held) => summaryOf(held, now())),
        ...(rest.length > limit && last !== undefined ? { next: last } : {}),
      };
    },
  );

  routes.get(
    "/plans/:plan",
    { schema: { tags, summary: "One plan, as it is in force", params, response: { 200: planDetail, ...PROBLEMS } } },
    async ({ params: { plan } }) => {
      const held = await buckets.plans.get(plan);
      if (held === undefined)
        throw new StillpointError("PLAN_UNKNOWN", { what: "There is no such plan", where: `plan ${plan}` });
      return { ...summaryOf(held.value, now()), definition: { ...held.value.definition } };
    },
  );

  routes.post(
    "/plans/:plan/runs",
    {
      schema: {
        tags,
        summary: "Make a recovery point now",
        params,
        headers: idempotencyHeaders,
        response: { 202: runAccepted, ...PROBLEMS },
      },
    },
    async ({ params: { plan }, headers }, reply) => {
      const accepted = await asker.backup(plan, headers["idempotency-key"]);
      return reply.status(202).header("location", `/api/v1/runs/${accepted.runId}`).send(accepted);
    },
  );
}

function byName(one: PlanRevision, other: PlanRevision): number {
  return one.plan < other.plan ? -1 : 1;
}

function summaryOf({ plan, revision, acceptedAt, definition }: PlanRevision, nowMs: number): PlanSummary {
  const entries = parseSchedule(definition);
  const nextAt = nextInstant(entries, nowMs);
  return {
    plan,
    revision,
    acceptedAt,
    sources: Object.entries(definition.sources).map(([source, { kind, at }]) => ({ source, kind, site: at })),
    rtoMs: definition.objectives.rto,
    rpoMs: definition.objectives.rpo,
    schedule: entries.map((entry) => entry.name),
    ...(nextAt === undefined ? {} : { nextAt: toInstant(nextAt) }),
    warnings: warningsOf(definition),
  };
}
