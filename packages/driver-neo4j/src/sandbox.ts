import { randomBytes } from "node:crypto";
import { mkdir, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow, StoreCheckRow } from "@stillpoint/contracts/query";
import { Secret } from "@stillpoint/contracts/secret";
import type { DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import { freePort } from "@stillpoint/driver/free-port";
import { isolate } from "@stillpoint/driver/isolation";
import { treeFiles } from "@stillpoint/driver/layout";
import { findAdmin } from "./admin-program.ts";
import { boltError } from "./bolt.ts";
import { checkConsistency } from "./consistency-check.ts";
import { restoreEnterprise } from "./enterprise-restore.ts";
import { importTree } from "./import-tree.ts";
import { installedServer } from "./installed.ts";
import { detailOf, type EnterpriseDetail, type MarkDetail } from "./mark-detail.ts";
import { removePageTrees } from "./rebuild-trees.ts";
import { isTornTree } from "./recovery-report.ts";
import { max, statement, values } from "./sandbox-queries.ts";
import { lastCommitted } from "./server-facts.ts";
import { confOf, debugLogOf, prepareHome, type RunningServer, type ServerHome, startServer } from "./server-process.ts";
import { databaseDirectory, logDirectory } from "./store-capture.ts";
import { checkCounts, checkRecovery, checkSchema, readRecoveryReport } from "./store-checks.ts";

/** A server that recovered the restored data, or imported it, and answers. */
export type RestoredServer = {
  home: ServerHome;
  server: RunningServer;
  version: string;
  /** How the data came to be what the mark says. */
  first: StoreCheckRow;
  rebuilt: boolean;
};

/** What is started is ended with `opening`. */
export async function startRestored(
  input: SandboxInput,
  context: DriverContext,
  opening: AsyncDisposableStack,
): Promise<RestoredServer> {
  const { java, neo4jLib: lib } = context.tools;
  const installed = await installedServer(context.tools);
  if (java === undefined || lib === undefined || installed === undefined) {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "Cannot start Neo4j",
      why: "no Java and no directory of Neo4j's jars are known here",
      hint: "set STILLPOINT_JAVA and STILLPOINT_NEO4J_LIB for this agent",
    });
  }
  const { version, isEnterprise } = installed;
  const detail = detailOf(input.mark);
  const { directory, signal, tools } = context;
  const isolation = opening.use(
    await isolate({ directory, keep: [input.directory, lib, java], open: tools.openSandboxes, signal }),
  );
  const home: ServerHome = {
    isolation,
    java,
    javaOptions: tools.javaOptions ?? [],
    lib,
    isEnterprise,
    directory,
    dataDirectory: await dataDirectory(input, detail, directory),
    database: detail.database,
    boltPort: await freePort(),
    size: await sizeOf(input, detail),
    password: new Secret(randomBytes(18).toString("base64url")),
    signal,
  };
  await prepareHome(home, randomBytes(32));
  if (detail.format === "enterprise") await restoreByTool(input, context, home, detail);
  const { server, rebuilt } = await startOrRebuild(home, detail);
  opening.use(server);
  const first =
    detail.format === "logical"
      ? await importTree(server.driver, detail.database, input.directory)
      : checkRecovery(
          txIdOf(detail),
          await lastCommitted(server.driver, detail.database, "the sandbox"),
          await readRecoveryReport(debugLogOf(home), detail.database),
        );
  return { home, server, version: `Neo4j ${version}`, first, rebuilt };
}

function txIdOf(detail: Exclude<MarkDetail, { format: "logical" }>): number {
  return detail.format === "physical" ? detail.txId : (detail.databases[0]?.txId ?? 0);
}

async function restoreByTool(input: SandboxInput, context: DriverContext, home: ServerHome, detail: EnterpriseDetail) {
  const { signal } = context;
  const admin = await findAdmin(context.tools, signal);
  if (admin === undefined) {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "Cannot restore a backup of Neo4j Enterprise",
      why: "no neo4j-admin is known here",
      hint: "set STILLPOINT_NEO4J_ADMIN to the neo4j-admin of Neo4j Enterprise",
    });
  }
  const restored = { directory: input.directory, home: home.directory, conf: confOf(home), detail, signal };
  await restoreEnterprise(admin, restored);
}

export async function startSandbox(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  await using opening = new AsyncDisposableStack();
  const { home, first, rebuilt, version, ...started } = await startRestored(input, context, opening);
  let server: RunningServer | undefined = started.server;
  opening.defer(async () => await server?.[Symbol.asyncDispose]());
  const owned = opening.move();

  const running = async () => {
    server ??= await startHome(home);
    return server.driver;
  };

  /**
   * The consistency check needs the database to itself: the server is stopped for it, and started anew if something is
   * asked after it. So this query is best asked last.
   */
  async function* storeChecks(): AsyncGenerator<StoreCheckRow> {
    const driver = await running();
    yield first;
    yield* await checkCounts(driver, home.database, input.mark);
    yield* await checkSchema(driver, home.database);
    await server?.stop();
    server = undefined;
    yield await checkConsistency(home);
  }

  return {
    version,
    recovered: rebuilt ? `${first.detail}; indexes and counts were made anew` : first.detail,
    async *query(query: Query): AsyncGenerator<QueryRow> {
      switch (query.type) {
        case "store":
          yield* storeChecks();
          return;
        case "values":
          yield* values(await running(), home.database, query.of);
          return;
        case "max":
          yield* max(await running(), home.database, query.of);
          return;
        case "statement":
          yield* statement(await running(), home.database, query.text);
      }
    },
    probeEgress: async (addresses) => await home.isolation.probeEgress(addresses),
    async [Symbol.asyncDispose]() {
      await owned.disposeAsync();
    },
  };
}

/** Physical files are started where they lie, without their users: the sandbox has one of its own. */
async function dataDirectory(input: SandboxInput, detail: MarkDetail, directory: string): Promise<string> {
  if (detail.format !== "physical") {
    const empty = join(directory, "data");
    await mkdir(empty, { mode: 0o700 });
    return empty;
  }
  const data = join(input.directory, "data");
  for (const path of [databaseDirectory(data, "system"), logDirectory(data, "system")]) {
    await rm(path, { recursive: true, force: true });
  }
  return data;
}

async function sizeOf(input: SandboxInput, detail: MarkDetail): Promise<ServerHome["size"]> {
  const sum = (files: readonly { size: number }[]) => files.reduce((total, { size }) => total + size, 0);
  if (detail.format !== "physical") {
    const bytes = sum(await treeFiles(input.directory));
    return { replayBytes: 0, storeBytes: bytes };
  }
  const data = join(input.directory, "data");
  const logs = await treeFiles(logDirectory(data, detail.database));
  return {
    replayBytes: Math.max(0, sum(logs) - detail.checkpoint.offset),
    storeBytes: sum(await treeFiles(databaseDirectory(data, detail.database))),
  };
}

async function startHome(home: ServerHome): Promise<RunningServer> {
  try {
    return await startServer(home);
  } catch (error) {
    const what = "Cannot start Neo4j on the restored data";
    if (home.signal.aborted)
      throw new StillpointError("CANCELLED", { what, why: "it was asked to stop", cause: error });
    throw boltError(error, { what, where: home.directory, otherwise: "SANDBOX_FAILED" });
  }
}

async function startOrRebuild(
  home: ServerHome,
  detail: MarkDetail,
): Promise<{ server: RunningServer; rebuilt: boolean }> {
  try {
    return { server: await startHome(home), rebuilt: false };
  } catch (error) {
    const log = await readFile(debugLogOf(home), "utf8").catch(() => ""); // the first error says why there is none
    if (home.signal.aborted || detail.format !== "physical" || !isTornTree(log)) throw error;
    // A page tree was copied across a checkpoint after all. The server makes it anew where it is missing.
    await removePageTrees(databaseDirectory(home.dataDirectory, home.database));
    return { server: await startHome(home), rebuilt: true };
  }
}
