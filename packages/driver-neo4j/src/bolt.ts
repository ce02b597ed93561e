import { type ErrorCode, StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import neo4j, { type Driver, type RecordShape, type Session } from "neo4j-driver";

export type BoltAddress = {
  url: string;
  user: string;
  /** Absent: the server asks for none. */
  password: Secret | undefined;
};

const MEANINGS: [prefix: string, code: ErrorCode, hint?: string][] = [
  ["Neo.ClientError.Security.Forbidden", "SOURCE_DENIED", "give the user of this source the right to do this"],
  ["Neo.ClientError.Security", "SOURCE_DENIED", "check `user` and the secret that `password` points to"],
  ["Neo.ClientError.Database.DatabaseNotFound", "SOURCE_UNSUPPORTED", "SHOW DATABASES lists the databases there are"],
  ["Neo.ClientError.Statement", "INVALID_REQUEST"],
];

/** What the client threw, in our words. `otherwise`: what it is when the server did not answer. */
export function boltError(
  error: unknown,
  { what, where, otherwise = "SOURCE_LOST" }: { what: string; where: string; otherwise?: ErrorCode },
): StillpointError {
  if (error instanceof StillpointError) return error;
  const why = error instanceof Error ? error.message : String(error);
  const vendor = error instanceof neo4j.Neo4jError ? error.code : "";
  const [, code = otherwise, hint] = MEANINGS.find(([prefix]) => vendor.startsWith(prefix)) ?? [];
  return new StillpointError(code, { what, where, why, hint, cause: error });
}

/** Integers come as bigint, for 64 bits of them do not fit a number. The caller closes it. */
export function connectBolt({ url, user, password }: BoltAddress): Driver {
  const auth = password === undefined ? undefined : neo4j.auth.basic(user, password.reveal());
  return neo4j.driver(url, auth, {
    useBigInt: true,
    connectionTimeout: 5_000,
    connectionAcquisitionTimeout: 15_000,
    maxTransactionRetryTime: 0,
    notificationFilter: { minimumSeverityLevel: "OFF" },
    telemetryDisabled: true,
    userAgent: "stillpoint",
  });
}

export function readSession(driver: Driver, database: string): Session {
  return driver.session({ database, defaultAccessMode: neo4j.session.READ });
}

/** Runs one query of few rows and gives them, with the bookmark of the moment. */
export async function readRows<Row extends RecordShape>(
  driver: Driver,
  database: string,
  cypher: string,
  parameters: Record<string, unknown> = {},
): Promise<{ rows: Row[]; bookmark: string }> {
  const session = readSession(driver, database);
  try {
    const { records } = await session.run<Row>(cypher, parameters);
    return { rows: records.map((record) => record.toObject()), bookmark: session.lastBookmarks()[0] ?? "" };
  } finally {
    await session.close();
  }
}
