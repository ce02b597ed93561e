import { traceId } from "@stillpoint/bus/trace";
import { type DestinationStream, type Logger, pino } from "pino";

/** Second line of defence: what holds a secret is a Secret, which prints as [redacted] by itself. */
const NEVER_PRINTED = ["password", "passphrase", "token", "secret", "authorization", "apiKey", "ticket"];

/** JSON lines on standard error: standard output belongs to what a command answers. */
export function createLogger(name: string, level: string, destination: DestinationStream): Logger {
  return pino(
    {
      name,
      level,
      base: { name },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      redact: { paths: NEVER_PRINTED.flatMap((key) => [key, `*.${key}`]), censor: "[redacted]" },
      mixin: () => {
        const id = traceId();
        return id === undefined ? {} : { traceId: id };
      },
    },
    destination,
  );
}

/** Written before the call returns, so that the last line before an exit is not lost. */
export function standardError(): DestinationStream {
  return pino.destination({ fd: 2, sync: true });
}
