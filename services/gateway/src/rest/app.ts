import fastifySwagger from "@fastify/swagger";
import fastifySwaggerUi from "@fastify/swagger-ui";
import type { Log } from "@stillpoint/bus/log";
import fastify, { type FastifyInstance } from "fastify";
import {
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from "fastify-type-provider-zod";
import { backupRoutes } from "./backups.ts";
import { refuseStrangers } from "./guard.ts";
import { healthRoutes } from "./health.ts";
import { planRoutes } from "./plans.ts";
import { pointRoutes } from "./points.ts";
import type { RestPorts } from "./ports.ts";
import { answerProblems } from "./problems.ts";
import { runRoutes } from "./runs.ts";

export type App = FastifyInstance;
/** What routes are added to: bodies and parameters are typed by their schemas. */
export type Routes = ReturnType<typeof withTypes>;

const MAX_BODY_BYTES = 100_000;

function withTypes(app: FastifyInstance) {
  return app.withTypeProvider<ZodTypeProvider>();
}

/** The REST application, not yet listening. */
export async function createApp(ports: RestPorts, options: { host: string; log: Log }): Promise<App> {
  const app = fastify({
    logger: false,
    bodyLimit: MAX_BODY_BYTES,
    // A client that holds a connection open must not hold up the stop.
    forceCloseConnections: true,
  });
  app.setValidatorCompiler(validatorCompiler);
  app.setSerializerCompiler(serializerCompiler);
  answerProblems(app, options.log);
  refuseStrangers(app, options.host);
  await app.register(fastifySwagger, {
    openapi: {
      info: {
        title: "Stillpoint",
        version: "1",
        description: "Recovery points over several stores: made, proven, listed. Errors are problem+json (RFC 9457).",
      },
    },
    transform: jsonSchemaTransform,
  });
  await app.register(fastifySwaggerUi, { routePrefix: "/api/docs" });
  await app.register(
    async (instance) => {
      const routes = withTypes(instance);
      pointRoutes(routes, ports);
      backupRoutes(routes, ports);
      runRoutes(routes, ports);
      planRoutes(routes, ports);
      healthRoutes(routes, ports);
    },
    { prefix: "/api/v1" },
  );
  await app.ready();
  return app;
}
