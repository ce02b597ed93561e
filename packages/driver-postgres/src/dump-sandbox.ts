import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Query, QueryRow } from "@stillpoint/contracts/query";
import type { DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import { answerQuery } from "./answer-query.ts";
import { type Checked, type Finding, fail, pass } from "./check.ts";
import { clientBin } from "./client-program.ts";
import { connect } from "./connection.ts";
import { type DumpDetail, parseDumpDetail, ROLES_PATH } from "./dump-mark.ts";
import { isolateTree } from "./isolate-tree.ts";
import { SILENCE, settingsText } from "./recovery-settings.ts";
import { programEnvironment, programRunner, SESSION_SETTINGS } from "./sandbox.ts";
import { PORT, startQuiet } from "./sandbox-server.ts";
import { dumpChecks } from "./store-checks.ts";

const WHAT = "Cannot load PostgreSQL dumps";
/** It is there in every new cluster. */
const FIRST_DATABASE = "postgres";

/** A new, empty cluster with the dumps loaded into it: the server may be of the source's version or of a later one. */
export async function startLoaded(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  const { directory, mark, runtime } = input;
  const { signal, tools } = context;
  const detail = parseDumpDetail(mark);
  const major = Number(/^pg(\d+)/.exec(runtime.id)?.[1] ?? 0);
  const { bin, version } = await clientBin(WHAT, major, tools.postgresBin);
  await using started = new AsyncDisposableStack();
  const isolation = started.use(await isolateTree(directory, bin, context));
  const data = join(context.directory, "data");
  const own = Number(version.split(".")[0]);
  const run = programRunner(bin, isolation, context, programEnvironment(isolation.sockets, detail.bootstrapUser, own));
  await makeCluster(run, data, detail);
  const log = join(context.directory, "postgres.log");
  started.use(await startQuiet({ bin, directory: data, log, isolation, signal }));
  const address = {
    host: isolation.sockets,
    port: PORT,
    user: detail.bootstrapUser,
    database: detail.database,
    tls: {},
  };
  const { databases } = detail.dump;
  const asked = databases.some(({ name }) => name === detail.database)
    ? detail.database
    : (databases[0]?.name ?? FIRST_DATABASE);
  const connectTo: Checked["connect"] = async (database = asked) =>
    await connect({
      address,
      database,
      what: "Cannot question the loaded PostgreSQL",
      settings: SESSION_SETTINGS,
      signal,
    });
  const loaded = await load(run, directory, detail);
  const checked = { directory, cutId: mark.cutId, preload: [], connect: connectTo, run };
  const running = started.move();
  return {
    version: `PostgreSQL ${version}`,
    recovered: loaded.detail,
    async *query(query: Query): AsyncGenerator<QueryRow, void, void> {
      if (query.type === "store") {
        yield* dumpChecks(checked, loaded);
        return;
      }
      await using connection = await checked.connect();
      yield* answerQuery(connection, query);
    },
    probeEgress: (addresses) => isolation.probeEgress(addresses),
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

async function makeCluster(run: Checked["run"], data: string, { dump, bootstrapUser }: DumpDetail): Promise<void> {
  const result = await run("initdb", [
    `--pgdata=${data}`,
    `--username=${bootstrapUser}`,
    `--encoding=${dump.encoding}`,
    `--locale=${dump.locale}`,
    "--auth=trust",
    "--no-sync",
  ]);
  if (result !== "missing" && result.code === 0) {
    await writeFile(join(data, "postgresql.conf"), settingsText(SILENCE));
    return;
  }
  throw new StillpointError(result === "missing" ? "STORE_NOT_INSTALLED" : "SANDBOX_FAILED", {
    what: WHAT,
    where: "initdb",
    why: result === "missing" ? "the program is not beside the server's" : result.words,
    ...(result === "missing" ? {} : { hint: `the machine needs the source's locale, ${dump.locale}` }),
  });
}

/** Tablespaces are not made: theirs would be directories of the source's. What they hold is loaded where the cluster lies. */
async function load(run: Checked["run"], directory: string, { dump }: DumpDetail): Promise<Finding> {
  const said: string[] = [];
  const step = async (name: string, program: string, args: readonly string[]) => {
    const result = await run(program, args);
    if (result === "missing") said.push(`${name}: ${program} is not installed here`);
    else if (result.code !== 0) said.push(`${name}: ${result.words}`);
  };
  // The role of the cluster's maker is there already, and psql goes on behind that.
  const roles = join(directory, ROLES_PATH);
  await step("roles", "psql", ["--no-psqlrc", "--quiet", `--dbname=${FIRST_DATABASE}`, `--file=${roles}`]);
  for (const { name, path } of dump.databases) {
    const create = name === FIRST_DATABASE ? [] : ["--create"];
    const args = [...create, `--dbname=${FIRST_DATABASE}`, "--no-tablespaces", join(directory, path)];
    await step(name, "pg_restore", args);
  }
  const names = dump.databases.map(({ name }) => name).join(", ");
  return said.length === 0 ? pass(`roles, ${names}`) : fail(said.join("; "));
}
