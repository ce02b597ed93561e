import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { Client, type ClientConfig, DatabaseError, type QueryResult } from "pg";
import type { SourceAddress } from "./source-address.ts";
import { toSourceError } from "./source-error.ts";
import { tlsHint, tlsOptions } from "./tls.ts";

export type ConnectOptions = {
  address: SourceAddress;
  /** Another database of the same cluster than the address names. */
  database?: string;
  password?: Secret | undefined;
  /** What fails if this connection does: "Cannot read PostgreSQL's WAL". */
  what: string;
  /** `true`: the server's side is a WAL sender, which understands replication commands only. */
  replication?: boolean;
  /** Settings of this connection, over those of the server, the database and the role. */
  settings?: Record<string, string>;
  signal: AbortSignal;
};

/** A connection that ends with its signal. */
export type Connection = AsyncDisposable & {
  readonly client: Client;
  /** Runs SQL; one text may hold several statements, whose results come in order. */
  query: (text: string, values?: unknown[]) => Promise<QueryResult[]>;
  /** What went wrong on this connection, in our words. */
  translate: (error: unknown) => StillpointError;
  /** Throws if the connection was lost while it lay idle. */
  check: () => void;
  isLost: () => boolean;
};

/**
 * A connection of ours lies idle while a base is copied or a fence is awaited: time-outs and defaults that the source
 * gives its databases and roles are not for it.
 */
const SETTINGS = {
  statement_timeout: "0",
  lock_timeout: "0",
  idle_in_transaction_session_timeout: "0",
  idle_session_timeout: "0",
  default_transaction_read_only: "off",
  // An agent's machine that vanishes must not hold a slot, and with it WAL, for the two hours of the system's default.
  tcp_keepalives_idle: "30",
  tcp_keepalives_interval: "10",
  tcp_keepalives_count: "3",
};

const { idle_session_timeout: _, ...OLD_SETTINGS } = SETTINGS;

const END_TIMEOUT_MS = 5_000;

/** Servers before version 14 do not know it, and refuse who asks for it. */
const NEW_SETTING = "idle_session_timeout";

/** A server that knows less settings than we ask for is asked for less. */
export async function connect(options: ConnectOptions): Promise<Connection> {
  try {
    return await connectOnce(options, SETTINGS);
  } catch (error) {
    if (!(error instanceof StillpointError && refusesSetting(error.cause))) throw error;
    return await connectOnce(options, OLD_SETTINGS);
  }
}

function refusesSetting(error: unknown): boolean {
  return error instanceof DatabaseError && error.code === "42704" && error.message.includes(NEW_SETTING);
}

async function connectOnce(options: ConnectOptions, ours: Record<string, string>): Promise<Connection> {
  const { address, password, signal } = options;
  const database = options.database ?? address.database;
  const where = `${address.host}:${address.port}${options.replication ? " (replication)" : `/${database}`}`;
  const config: ClientConfig & { replication?: string } = {
    host: address.host,
    port: address.port,
    user: address.user,
    database,
    ssl: tlsOptions(address.tls),
    // A function, so that neither PGPASSWORD nor a password file is asked instead.
    password: () => revealed(password, where),
    options: optionsText({ ...ours, ...options.settings }),
    application_name: "stillpoint",
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
    ...(options.replication ? { replication: "true" } : {}),
  };
  const client = new Client(config);
  let lost: Error | undefined;
  client.on("error", (error) => {
    lost ??= error;
  });
  const end = () => client.connection.stream.destroy(new Error("it was asked to stop"));
  signal.addEventListener("abort", end);
  const translate = (error: unknown) => toSourceError(error, { what: options.what, where, signal });
  try {
    signal.throwIfAborted();
    await client.connect();
  } catch (error) {
    signal.removeEventListener("abort", end);
    client.connection.stream.destroy();
    throw toConnectError(error, { where, signal });
  }
  return {
    client,
    translate,
    async query(text, values) {
      try {
        // With several statements in one text pg answers with as many results; its types know of one.
        const answer: QueryResult | QueryResult[] = await client.query(text, values);
        return Array.isArray(answer) ? answer : [answer];
      } catch (error) {
        throw translate(error);
      }
    },
    check() {
      if (lost !== undefined) throw translate(lost);
    },
    isLost: () => lost !== undefined,
    async [Symbol.asyncDispose]() {
      signal.removeEventListener("abort", end);
      // A server that does not answer its client's farewell must not hold us.
      const timer = setTimeout(() => client.connection.stream.destroy(), END_TIMEOUT_MS);
      await client.end();
      clearTimeout(timer);
    },
  };
}

/**
 * What a session of ours, or of a program that we run, asks for when it begins: as libpq's `options`, `-c name=value`, with
 * blanks and backslashes escaped.
 */
export function sessionOptions(major: number, settings: Record<string, string> = {}): string {
  return optionsText({ ...(major < 14 ? OLD_SETTINGS : SETTINGS), ...settings });
}

function optionsText(settings: Record<string, string>): string {
  return Object.entries(settings)
    .map(([name, value]) => `-c ${name}=${value.replaceAll(/[\\ ]/g, "\\$&")}`)
    .join(" ");
}

function toConnectError(error: unknown, { where, signal }: { where: string; signal: AbortSignal }): StillpointError {
  const what = "Cannot connect to PostgreSQL";
  const translated = toSourceError(error, { what, where, signal });
  if (translated.code !== "SOURCE_LOST" && translated.code !== "INTERNAL") return translated;
  return new StillpointError("SOURCE_UNREACHABLE", {
    what,
    where,
    why: reason(error),
    hint: tlsHint(error),
    cause: error,
  });
}

/** Node gives the failures of a name's several addresses as one error without words of its own. */
function reason(error: unknown): string {
  if (error instanceof AggregateError) return error.errors.map(reason).join(", ");
  return error instanceof Error ? error.message : String(error);
}

function revealed(password: Secret | undefined, where: string): string {
  if (password !== undefined) return password.reveal();
  throw new StillpointError("SOURCE_DENIED", {
    what: "Cannot connect to PostgreSQL",
    where,
    why: "the server asks for a password, and the plan gives none",
    hint: 'add password: "${env:NAME}" or passfile: /path/.pgpass to the source',
  });
}
