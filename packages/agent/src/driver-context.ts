import type { SourceSpec } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { AgentShared } from "./own-source.ts";

/** What a driver may know of the world, for one piece of work. */
export function driverContext(
  shared: Pick<AgentShared<SourceSpec>, "context" | "tools">,
  directory: string,
  signal: AbortSignal,
  about: Record<string, unknown>,
): DriverContext {
  const { context, tools } = shared;
  return {
    directory,
    signal,
    tools,
    secret: context.secret,
    monotonicMs: context.clock.monotonicMs,
    now: context.clock.now,
    log: (message, fields) => context.log.info({ ...about, ...fields }, message),
  };
}
