import { StillpointError } from "@stillpoint/contracts/errors";
import type { PostgresSource } from "@stillpoint/contracts/source";
import { parse } from "pg-connection-string";
import { type TlsParameters, takeTlsParameters } from "./tls.ts";

export type SourceAddress = {
  /** A host name, or the directory of a Unix socket. */
  host: string;
  port: number;
  user: string;
  database: string;
  tls: TlsParameters;
};

/** Reads a source's URL, and no file that it names. libpq's environment and files at their own places have no say: what counts is in the plan. */
export function sourceAddress(source: PostgresSource): SourceAddress {
  const url = new URL(source.url);
  const tls = takeTlsParameters(url);
  const parsed = readUrl(url.href);
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
    tls,
  };
}

function readUrl(url: string): ReturnType<typeof parse> {
  try {
    return parse(url);
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
