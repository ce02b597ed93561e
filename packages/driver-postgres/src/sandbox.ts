import { randomUUID } from "node:crypto";
import { access, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import type { DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import type { Isolation } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { answerQuery } from "./answer-query.ts";
import { type Checked, type ProgramResult, pass } from "./check.ts";
import { connect, sessionOptions } from "./connection.ts";
import { checkPlaces } from "./foreign-places.ts";
import { isolateTree } from "./isolate-tree.ts";
import { parseMarkDetail } from "./mark-detail.ts";
import { programVersion } from "./runtime.ts";
import { PORT, startServer } from "./sandbox-server.ts";
import { storeChecks } from "./store-checks.ts";
import { verifyBase } from "./verify-base.ts";

/** Over what the data brings along: settings of its databases and roles are the source's too. */
export const SESSION_SETTINGS = {
  statement_timeout: "0",
  session_preload_libraries: "",
  local_preload_libraries: "",
  lc_messages: "C",
  datestyle: "ISO, YMD",
  intervalstyle: "postgres",
  timezone: "UTC",
  bytea_output: "hex",
  row_security: "off",
};

/** A server on restored data, recovered to its mark and answering, with what may be asked of it. */
export type RestoredServer = AsyncDisposable & {
  checked: Checked;
  isolation: Isolation;
  version: string;
  recovered: string;
  manifest: Awaited<ReturnType<typeof verifyBase>>;
};

export async function startRestored(input: SandboxInput, context: DriverContext): Promise<RestoredServer> {
  const { directory, mark } = input;
  const { signal } = context;
  const detail = parseMarkDetail(mark);
  const { bin, version, major } = await serverProgram(directory, context);
  await using started = new AsyncDisposableStack();
  const isolation = started.use(await isolateTree(directory, bin, context));
  const environment = programEnvironment(isolation.sockets, detail.bootstrapUser, major);
  const run = programRunner(bin, isolation, context, environment);
  await checkPlaces(directory, detail);
  const manifest = await verifyBase(run, directory);
  const log = join(context.directory, "postgres.log");
  const { recovered } = started.use(await startServer({ bin, directory, log, isolation, signal }, detail));
  const address = {
    host: isolation.sockets,
    port: PORT,
    user: detail.bootstrapUser,
    database: detail.database,
    tls: {},
  };
  const connectTo: Checked["connect"] = async (database = detail.database) =>
    await connect({
      address,
      database,
      what: "Cannot question the restored PostgreSQL",
      settings: SESSION_SETTINGS,
      signal,
    });
  // Answering: the port is open before the first session can begin.
  await using first = await connectTo();
  await first.query("select 1");
  const checked: Checked = { directory, cutId: mark.cutId, preload: detail.preload, connect: connectTo, run };
  const running = started.move();
  return { checked, isolation, version, recovered, manifest, [Symbol.asyncDispose]: () => running.disposeAsync() };
}

export async function startSandbox(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  const server = await startRestored(input, context);
  const { checked, isolation, version, recovered, manifest } = server;
  return {
    version,
    recovered,
    async *query(query: Query): AsyncGenerator<QueryRow, void, void> {
      if (query.type === "store") {
        yield* storeChecks(checked, { recovery: pass(recovered), manifest });
        return;
      }
      await using connection = await checked.connect();
      yield* answerQuery(connection, query);
    },
    probeEgress: (addresses) => isolation.probeEgress(addresses),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  };
}

/** The program that opens this data: of another major version, PostgreSQL refuses it. */
export async function serverProgram(
  directory: string,
  { tools }: DriverContext,
): Promise<{ bin: string; version: string; major: number }> {
  const major = (await readFile(join(directory, "PG_VERSION"), "utf8")).trim();
  const bin = tools.postgresBin;
  const found = bin === undefined ? undefined : await programVersion(bin);
  const why =
    bin === undefined || found === undefined
      ? "no PostgreSQL server is installed here"
      : String(found.major) !== major
        ? `the server here is version ${found.version}`
        : process.getuid?.() === 0 && tools.serverUser === undefined
          ? "PostgreSQL refuses to run as root, and no other account is configured"
          : undefined;
  if (bin !== undefined && found !== undefined && why === undefined) {
    return { bin, version: `PostgreSQL ${found.version}`, major: found.major };
  }
  throw new StillpointError("STORE_NOT_INSTALLED", {
    what: `Cannot start PostgreSQL ${major}`,
    where: bin,
    why,
    hint: `rehearse on an agent with the image of PostgreSQL ${major}`,
  });
}

/** Programs take the source's time-outs off by themselves, too late for their first statements. */
export function programEnvironment(sockets: string, user: string, major: number): Record<string, string> {
  const options = sessionOptions(major, SESSION_SETTINGS);
  return { PGHOST: sockets, PGPORT: String(PORT), PGUSER: user, PGOPTIONS: options };
}

export function programRunner(
  bin: string,
  isolation: Isolation,
  { directory, signal }: DriverContext,
  environment: Record<string, string>,
): Checked["run"] {
  return async (program, args, env = {}): Promise<ProgramResult> => {
    const path = join(bin, program);
    if (!(await exists(path))) return "missing";
    signal.throwIfAborted();
    const output = join(directory, `${program}-${randomUUID()}.log`);
    const child = await isolation.spawn(path, args, { output, env: { ...environment, ...env } });
    const { code } = await child.exited;
    const words = await lastWords(output);
    await rm(output, { force: true });
    return { code, words };
  };
}

async function exists(path: string): Promise<boolean> {
  try {
    await access(path);
    return true;
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return false;
    throw error;
  }
}
