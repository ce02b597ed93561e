import { name, uuid } from "@stillpoint/contracts/names";
import { queryRun, queryRuns } from "@stillpoint/contracts/queries";
import { pageParameters, runAccepted } from "@stillpoint/contracts/rest";
import { z } from "zod";
import type { Routes } from "./app.ts";
import { QUERY, type RestPorts } from "./ports.ts";
import { PROBLEMS } from "./problems.ts";

const tags = ["runs"];
const params = z.object({ runId: uuid });

export function runRoutes(routes: Routes, { bus, asker }: RestPorts): void {
  routes.get(
    "/runs",
    {
      schema: {
        tags,
        summary: "Runs, newest first: under way, finished, failed and why",
        querystring: pageParameters.extend({ plan: name.optional() }),
        response: { 200: queryRuns.reply, ...PROBLEMS },
      },
    },
    ({ query }) => bus.request(queryRuns, {}, query, QUERY),
  );

  routes.get(
    "/runs/:runId",
    {
      schema: {
        tags,
        summary: "One run; unknown until an orchestrator has taken it",
        params,
        response: { 200: queryRun.reply, ...PROBLEMS },
      },
    },
    ({ params: { runId } }) => bus.request(queryRun, {}, { runId }, QUERY),
  );

  routes.post(
    "/runs/:runId/cancellation",
    { schema: { tags, summary: "Cancel a run", params, response: { 202: runAccepted, ...PROBLEMS } } },
    async ({ params: { runId } }, reply) => reply.status(202).send(await asker.cancel(runId)),
  );
}
