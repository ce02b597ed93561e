/** What the bus tells of itself; pino's loggers fit. Fields never hold a secret. */
export type Log = Record<
  "debug" | "info" | "warn" | "error",
  (fields: Record<string, unknown>, message: string) => void
>;
