import { StillpointError } from "@stillpoint/contracts/errors";
import type { PostgresSource } from "@stillpoint/contracts/source";
import { parse } from "pg-connection-string";

export type SourceAddress = {
  /** A host name, or the directory of a Unix socket. */
  host: string;
  port: number;
  user: string;
  database: string;
  ssl: boolean | object;
};

/** Reads a source's URL. libpq's environment and password files have no say: what counts is in the plan. */
export function sourceAddress(source: PostgresSource): SourceAddress {
  const parsed = readUrl(source.url);
  if (!parsed.user) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot use the source's URL",
      where: withoutQuery(source.url),
      why: "it names no user",
      hint: "write postgres://user@host:port/database",
    });
  }
  return {
    host: parsed.host || "localhost",
    port: parsed.port ? Number(parsed.port) : 5432,
    user: parsed.user,
    database: parsed.database || "postgres",
    ssl: typeof parsed.ssl === "object" ? parsed.ssl : parsed.ssl === true,
  };
}

function readUrl(url: string): ReturnType<typeof parse> {
  try {
    // libpq's meaning of sslmode, which is what people know: `require` encrypts, `verify-full` also checks the name.
    return parse(url, { useLibpqCompat: true });
  } catch (error) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot use the source's URL",
      where: withoutQuery(url),
      why: error instanceof Error ? error.message : String(error),
      cause: error,
    });
  }
}

/** As the egress probe names it. */
export function probeAddress({ host, port }: SourceAddress): string {
  if (host.startsWith("/")) return `unix:${host}/.s.PGSQL.${port}`;
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** Somebody may have put a password among the parameters, where it is not looked for. */
function withoutQuery(url: string): string {
  return url.replace(/\?.*$/s, "");
}
