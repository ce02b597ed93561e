import type { Log } from "@stillpoint/bus/log";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { type Problem, problem } from "@stillpoint/contracts/rest";
import type { FastifyInstance, FastifyReply } from "fastify";
import { hasZodFastifySchemaValidationErrors } from "fastify-type-provider-zod";

/** What every route may answer beside its own; for the documentation. */
export const PROBLEMS = { "4xx": problem, "5xx": problem };

/** Every error as problem+json; what is our own mistake is logged with its stack. */
export function answerProblems(app: FastifyInstance, log: Log): void {
  app.setErrorHandler((error, request, reply) => {
    const known = translate(error, `Cannot do ${request.method} ${request.url.split("?")[0]}`);
    if (known.code === "INTERNAL") {
      const stack = error instanceof Error ? error.stack : undefined;
      log.error(
        { method: request.method, path: request.url.split("?")[0], error: known.toBody(), stack },
        "request failed",
      );
    }
    return send(reply, known);
  });
  app.setNotFoundHandler((request, reply) =>
    send(
      reply,
      new StillpointError("NOT_FOUND", {
        what: "There is nothing here",
        where: `${request.method} ${request.url.split("?")[0]}`,
        hint: "see /api/docs",
      }),
    ),
  );
}

function translate(error: unknown, what: string): StillpointError {
  if (error instanceof StillpointError) return error;
  if (hasZodFastifySchemaValidationErrors(error)) {
    const issues = error.validation.map(({ instancePath, message }) => ({
      field: instancePath.replace(/^\//, "").replaceAll("/", ".") || "the whole",
      why: message ?? "is not accepted",
    }));
    return new StillpointError("INVALID_REQUEST", {
      what,
      where: `${error.validationContext ?? "request"}: ${issues.map(({ field }) => field).join(", ")}`,
      why: issues.map(({ field, why }) => `${field}: ${why}`).join("; "),
      cause: error,
    });
  }
  // Fastify's own refusals: a body that is no JSON, that is too long, of another media type.
  if (
    error instanceof Error &&
    "statusCode" in error &&
    typeof error.statusCode === "number" &&
    error.statusCode < 500
  ) {
    return new StillpointError("INVALID_REQUEST", { what, why: error.message, cause: error });
  }
  return toStillpointError(error, what);
}

export function send(reply: FastifyReply, error: StillpointError): FastifyReply {
  const body: Problem = {
    type: "about:blank",
    title: error.what,
    status: error.http,
    detail: error.message,
    ...error.toBody(),
  };
  // As text: the route's own schemas are not meant for it.
  return reply.status(error.http).type("application/problem+json").serializer(String).send(JSON.stringify(body));
}
