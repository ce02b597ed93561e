import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Service } from "./define-service.ts";
import { runServices } from "./run-services.ts";

/**
 * Several services in one process: `node host.ts services/vault/src/service.ts …`. Each module exports its service as
 * `service`. Started by path, so that this package knows no service.
 */
async function load(path: string): Promise<Service> {
  const module: unknown = await import(pathToFileURL(resolve(path)).href);
  if (typeof module === "object" && module !== null && "service" in module && isService(module.service)) {
    return module.service;
  }
  throw new StillpointError("CONFIG_INVALID", {
    what: "Cannot run a service",
    where: path,
    why: "the module does not export `service`, made by defineService",
  });
}

function isService(value: unknown): value is Service {
  return typeof value === "object" && value !== null && "name" in value && "prepare" in value;
}

const paths = process.argv.slice(2).filter((argument) => !argument.startsWith("-"));
await runServices(await Promise.all(paths.map(load)));
