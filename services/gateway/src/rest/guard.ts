import { StillpointError } from "@stillpoint/contracts/errors";
import type { FastifyInstance } from "fastify";

const LOOPBACK = ["localhost", "127.0.0.1", "[::1]", "::1"];

/**
 * A page in a person's browser can send requests to this machine: those that come from another site are refused, and on
 * loopback also those that reached us under a name that is not this machine's (a site whose name was pointed here).
 */
export function refuseStrangers(app: FastifyInstance, listensOn: string): void {
  const isLoopback = LOOPBACK.includes(listensOn);
  app.addHook("onRequest", async ({ headers }) => {
    const host = headers.host ?? "";
    const { origin } = headers;
    if (isLoopback && !LOOPBACK.includes(host.replace(/:\d+$/, ""))) throw refused(`the name ${host}`);
    if (origin !== undefined && hostOf(origin) !== host) throw refused(`a page of ${origin}`);
  });
}

function hostOf(origin: string): string | undefined {
  return URL.canParse(origin) ? new URL(origin).host : undefined;
}

function refused(from: string): StillpointError {
  return new StillpointError("FORBIDDEN", {
    what: "Requests from elsewhere are not answered",
    where: from,
    why: "the interface serves this machine, under its own name",
    hint: "set STILLPOINT_GATEWAY_HOST to serve others",
  });
}
