import { StillpointError } from "@stillpoint/contracts/errors";
import { name, uuid } from "@stillpoint/contracts/names";
import { queryPoint, queryPoints } from "@stillpoint/contracts/queries";
import { pageParameters, proofAccepted, restoreTickets, restoreTicketsRequest } from "@stillpoint/contracts/rest";
import { vaultPoint, vaultTicket } from "@stillpoint/contracts/vault";
import { z } from "zod";
import type { Routes } from "./app.ts";
import { idempotencyHeaders, QUERY, type RestPorts } from "./ports.ts";
import { PROBLEMS } from "./problems.ts";

const tags = ["points"];
const params = z.object({ pointId: uuid });

export function pointRoutes(routes: Routes, { bus, asker }: RestPorts): void {
  routes.get(
    "/points",
    {
      schema: {
        tags,
        summary: "Recovery points, newest first, each with its newest verdict",
        querystring: pageParameters.extend({ plan: name.optional() }),
        response: { 200: queryPoints.reply, ...PROBLEMS },
      },
    },
    ({ query }) => bus.request(queryPoints, {}, query, QUERY),
  );

  routes.get(
    "/points/:pointId",
    {
      schema: {
        tags,
        summary: "One recovery point: its cut, its sources, its backups and its proofs",
        params,
        response: { 200: queryPoint.reply, ...PROBLEMS },
      },
    },
    ({ params: { pointId } }) => bus.request(queryPoint, {}, { pointId }, QUERY),
  );

  routes.post(
    "/points/:pointId/validations",
    {
      schema: {
        tags,
        summary: "Prove a point: restore it into throw-away servers and check it",
        params,
        headers: idempotencyHeaders,
        response: { 202: proofAccepted, ...PROBLEMS },
      },
    },
    async ({ params: { pointId }, headers }, reply) => {
      const accepted = await asker.validate(pointId, headers["idempotency-key"]);
      return reply.status(202).header("location", `/api/v1/points/${pointId}`).send(accepted);
    },
  );

  routes.post(
    "/points/:pointId/restore-tickets",
    {
      schema: {
        tags,
        summary: "Tickets to fetch a point's backups from the vault",
        params,
        body: restoreTicketsRequest.nullish(),
        response: { 200: restoreTickets, ...PROBLEMS },
      },
    },
    async ({ params: { pointId }, body }) => {
      const { point } = await bus.request(vaultPoint, {}, { pointId }, QUERY);
      const chosen = body?.sources ?? point.sources.map(({ source }) => source);
      const tickets = await Promise.all(
        chosen.map(async (source) => {
          const backups = point.sources.find((held) => held.source === source)?.backups;
          if (backups === undefined) throw notInPoint(source, pointId);
          const minted = await bus.request(vaultTicket, {}, { purpose: "restore", pointId, backups }, QUERY);
          return { source, backups, ...minted };
        }),
      );
      const [first] = tickets;
      if (first === undefined) throw notInPoint("any source", pointId);
      const [expiresAt = first.expiresAt] = tickets.map((ticket) => ticket.expiresAt).sort();
      return {
        vaultUrl: first.vaultUrl,
        expiresAt,
        tickets: tickets.map(({ source, backups, ticket }) => ({ source, backups, ticket })),
      };
    },
  );
}

function notInPoint(source: string, pointId: string): StillpointError {
  return new StillpointError("NOT_FOUND", {
    what: "The point does not hold that source",
    where: `${source}, point ${pointId}`,
  });
}
