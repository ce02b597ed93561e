import { StillpointError } from "@stillpoint/contracts/errors";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { connectBolt } from "./bolt.ts";
import type { BoltSource } from "./bolt-source.ts";
import { readServerFacts } from "./server-facts.ts";

const DEFAULT_PORT = "7687";

export type ConnectedSource = AsyncDisposable & Omit<BoltSource, "description">;

/** Connects, and reads what the server says of itself. The context's signal ends whatever waits for it. */
export async function connectSource(
  source: Neo4jSource,
  context: Pick<DriverContext, "secret" | "signal">,
): Promise<ConnectedSource> {
  const { url, user, database } = source;
  const password = source.password === undefined ? undefined : context.secret(source.password);
  const where = hostAndPort(url);
  if (database === "system") {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot capture a Neo4j database",
      where,
      why: "the system database is no source of its own",
      hint: "name the database that holds the data; with `data` the system database comes along",
    });
  }
  await using opening = new AsyncDisposableStack();
  const driver = connectBolt({ url, user, password });
  opening.defer(async () => await driver.close());
  // Whatever waits for the server's answer is rejected by that.
  const abort = () => void driver.close();
  context.signal.addEventListener("abort", abort, { once: true });
  opening.defer(() => context.signal.removeEventListener("abort", abort));
  const facts = await readServerFacts(driver, database, where);
  const owned = opening.move();
  return { driver, database, where, facts, [Symbol.asyncDispose]: async () => await owned.disposeAsync() };
}

/** What fails because it was told to stop is told as that. */
export async function cancellable<Result>(
  { signal }: Pick<DriverContext, "signal">,
  what: string,
  where: string,
  step: Promise<Result>,
): Promise<Result> {
  try {
    return await step;
  } catch (error) {
    if (!signal.aborted) throw error;
    throw new StillpointError("CANCELLED", { what, where, cause: error });
  }
}

export function hostAndPort(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === "" ? DEFAULT_PORT : port}`;
}
