import { backupId, name } from "@stillpoint/contracts/names";
import { queryBackup, queryBackups } from "@stillpoint/contracts/queries";
import { pageParameters } from "@stillpoint/contracts/rest";
import { z } from "zod";
import type { Routes } from "./app.ts";
import { QUERY, type RestPorts } from "./ports.ts";
import { PROBLEMS } from "./problems.ts";

const tags = ["backups"];

export function backupRoutes(routes: Routes, { bus }: RestPorts): void {
  routes.get(
    "/backups",
    {
      schema: {
        tags,
        summary: "What was captured of single sources, newest first",
        querystring: pageParameters.extend({ plan: name.optional(), source: name.optional() }),
        response: { 200: queryBackups.reply, ...PROBLEMS },
      },
    },
    ({ query }) => bus.request(queryBackups, {}, query, QUERY),
  );

  routes.get(
    "/backups/:backupId",
    {
      schema: {
        tags,
        summary: "One backup's figures",
        params: z.object({ backupId }),
        response: { 200: queryBackup.reply, ...PROBLEMS },
      },
    },
    ({ params }) => bus.request(queryBackup, {}, params, QUERY),
  );
}
