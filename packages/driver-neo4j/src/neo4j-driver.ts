import { arch } from "node:os";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { Capture, Description, Driver, DriverContext, OpenOptions, Tools } from "@stillpoint/driver/driver";
import { findAdmin } from "./admin-program.ts";
import type { BoltSource, CaptureSteps } from "./bolt-source.ts";
import { backupAddress, type CaptureWay, chooseWay } from "./capture-way.ts";
import { cancellable, connectSource, hostAndPort } from "./connect.ts";
import { openEnterprise } from "./enterprise-capture.ts";
import { installedServer } from "./installed.ts";
import { layoutNeo4j } from "./layout.ts";
import { openLogical } from "./logical-capture.ts";
import { openPhysical } from "./physical-capture.ts";
import { recoverLog } from "./recover.ts";
import { enterpriseRuntime, RUNTIME_ID, SUPPORTED, settingNotes } from "./requirements.ts";
import { startSandbox } from "./sandbox.ts";
import type { ServerFacts } from "./server-facts.ts";
import { shipNeo4j } from "./ship.ts";
import { databaseDirectory } from "./store-capture.ts";
import { storeSize } from "./store-size.ts";

/**
 * Neo4j Community 5.26: hot copies of its files and its log, or an export over Bolt where the files cannot be read. Enterprise by
 * its own tool, where that is here.
 */
export const neo4jDriver: Driver<Neo4jSource> = {
  kind: "neo4j",
  open: openCapture,
  ship: shipNeo4j,
  layout: layoutNeo4j,
  recover: recoverLog,
  runtimes,
  start: startSandbox,
  addresses: (source) => [hostAndPort(source.url)],
};

async function openCapture(source: Neo4jSource, context: DriverContext, options: OpenOptions = {}): Promise<Capture> {
  await using opening = new AsyncDisposableStack();
  const connected = opening.use(await connectSource(source, context));
  const { where } = connected;
  const way = await chooseWay(source, connected, context);
  // What Enterprise's tool backs up needs nothing that is shipped.
  const shipped = options.heldPlace !== undefined && way.by === "files";
  const description = describe(connected.facts, way, shipped);
  const steps = await openSteps(source, { ...connected, description }, way, context, { shipped });
  if (way.by === "files") description.sizeBytes = await storeSize(databaseDirectory(way.data, connected.database));
  const owned = opening.move();
  const step = async <Result>(work: Promise<Result>): Promise<Result> =>
    await cancellable(context, "A capture was cancelled", where, work);
  return {
    description,
    base: (tree) => step(steps.base(tree)),
    settle: () => step(steps.settle()),
    mark: (request) => step(steps.mark(request)),
    finish: (tree) => step(steps.finish(tree)),
    [Symbol.asyncDispose]: async () => await owned.disposeAsync(),
  };
}

async function openSteps(
  spec: Neo4jSource,
  source: BoltSource,
  way: CaptureWay,
  context: DriverContext,
  options: { shipped: boolean },
): Promise<CaptureSteps> {
  if (way.by === "tool") return openEnterprise({ ...source, ...way, backupAddress: backupAddress(spec) }, context);
  if (way.by === "bolt") return openLogical(source, context);
  return await openPhysical({ ...source, data: way.data }, context, options);
}

function describe({ version, edition, store, settings }: ServerFacts, way: CaptureWay, shipped: boolean): Description {
  const id = way.by === "tool" ? enterpriseRuntime(version) : RUNTIME_ID;
  return {
    version: `Neo4j ${version} ${edition}`,
    runtime: { id, version, arch: arch(), extensions: [], settings: { store } },
    hasLog: way.by !== "bolt",
    ...(way.by === "bolt" || shipped ? {} : { base: "full" as const }),
    finish: ({ files: "log", tool: "incremental", bolt: "full" } as const)[way.by],
    notes: way.by === "bolt" ? [way.why] : settingNotes(settings),
  };
}

/** A rehearsal needs the jars of the version whose files are known; of an Enterprise's backup, Enterprise and its tool. */
async function runtimes(tools: Tools, signal: AbortSignal): Promise<string[]> {
  const installed = await installedServer(tools);
  if (installed === undefined) return [];
  const { version, isEnterprise } = installed;
  const own = version.startsWith(SUPPORTED) ? [RUNTIME_ID] : [];
  if (!isEnterprise) return own;
  return (await findAdmin(tools, signal))?.offers.has("restore") ? [...own, enterpriseRuntime(version)] : own;
}
