import { arch } from "node:os";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { Capture, Description, Driver, DriverContext, Tools } from "@stillpoint/driver/driver";
import type { BoltSource, CaptureSteps } from "./bolt-source.ts";
import { cancellable, connectSource, hostAndPort } from "./connect.ts";
import { installedVersion } from "./installed.ts";
import { layoutNeo4j } from "./layout.ts";
import { openLogical } from "./logical-capture.ts";
import { openPhysical } from "./physical-capture.ts";
import { recoverLog } from "./recover.ts";
import { RUNTIME_ID, requirePhysical, SUPPORTED, settingNotes } from "./requirements.ts";
import { startSandbox } from "./sandbox.ts";
import type { ServerFacts } from "./server-facts.ts";
import { shipNeo4j } from "./ship.ts";

/** Neo4j Community 5.26: hot copies of its files and its log, or an export over Bolt where the files cannot be read. */
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

async function openCapture(source: Neo4jSource, context: DriverContext): Promise<Capture> {
  await using opening = new AsyncDisposableStack();
  const connected = opening.use(await connectSource(source, context));
  const { where, facts } = connected;
  const description = describe(facts, source.data !== undefined);
  const steps = await openSteps({ ...connected, description }, source.data, context);
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
