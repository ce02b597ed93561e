import { arch } from "node:os";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { Capture, Description, Driver, DriverContext, Tools } from "@stillpoint/driver/driver";
import { connectBolt } from "./bolt.ts";
import type { BoltSource, CaptureSteps } from "./bolt-source.ts";
import { installedVersion } from "./installed.ts";
import { layoutNeo4j } from "./layout.ts";
import { openLogical } from "./logical-capture.ts";
import { openPhysical } from "./physical-capture.ts";
import { RUNTIME_ID, requirePhysical, SUPPORTED, settingNotes } from "./requirements.ts";
import { startSandbox } from "./sandbox.ts";
import { readServerFacts, type ServerFacts } from "./server-facts.ts";

const DEFAULT_PORT = "7687";

/** Neo4j Community 5.26: hot copies of its files and its log, or an export over Bolt where the files cannot be read. */
export const neo4jDriver: Driver<Neo4jSource> = {
  kind: "neo4j",
  open: openCapture,
  layout: layoutNeo4j,
  runtimes,
  start: startSandbox,
  addresses: (source) => [hostAndPort(source.url)],
};

async function openCapture(source: Neo4jSource, context: DriverContext): Promise<Capture> {
  const { url, user, database, data } = source;
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
  const description = describe(facts, data !== undefined);
  const steps = await openSteps({ driver, database, where, facts, description }, data, context);
  const owned = opening.move();
  const cancellable = async <Result>(step: Promise<Result>): Promise<Result> => {
    try {
      return await step;
    } catch (error) {
      if (!context.signal.aborted) throw error;
      throw new StillpointError("CANCELLED", { what: "A capture was cancelled", where, cause: error });
    }
  };
  return {
    description,
    base: (tree) => cancellable(steps.base(tree)),
    settle: () => cancellable(steps.settle()),
    mark: (request) => cancellable(steps.mark(request)),
    finish: (tree) => cancellable(steps.finish(tree)),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function openSteps(source: BoltSource, data: string | undefined, context: DriverContext): Promise<CaptureSteps> {
  if (data === undefined) return openLogical(source, context);
  requirePhysical(source.facts, source.where);
  return await openPhysical({ ...source, data }, context);
}

function describe({ version, edition, store, settings }: ServerFacts, physical: boolean): Description {
  return {
    version: `Neo4j ${version} ${edition}`,
    runtime: { id: RUNTIME_ID, version, arch: arch(), extensions: [], settings: { store } },
    hasLog: physical,
    ...(physical ? { base: "full" as const } : {}),
    finish: physical ? "log" : "full",
    notes: physical
      ? settingNotes(settings)
      : ["exported over Bolt, for `data` is not given: not at one moment, and slow to restore"],
  };
}

/** A rehearsal needs the jars of the version whose files are known. */
async function runtimes(tools: Tools, _signal: AbortSignal): Promise<string[]> {
  return (await installedVersion(tools))?.startsWith(SUPPORTED) ? [RUNTIME_ID] : [];
}

function hostAndPort(url: string): string {
  const { hostname, port } = new URL(url);
  return `${hostname}:${port === "" ? DEFAULT_PORT : port}`;
}
