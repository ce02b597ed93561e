import type { Service } from "./define-service.ts";
import { runServices } from "./run-services.ts";

/** A service's main: runs it in a process of its own. */
export function runService(service: Service): Promise<never> {
  return runServices([service]);
}
