import { access } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { agentSettings, toolsOf } from "@stillpoint/agent/settings";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { PointSource } from "@stillpoint/contracts/point";
import type { Tools } from "@stillpoint/driver/driver";
import { programVersion } from "@stillpoint/driver-postgres/runtime";
import { unprivilegedUser } from "@stillpoint/parts/server-user";
import type { World } from "../world.ts";

type Environment = World["environment"];

function pathDirectories(environment: Environment): string[] {
  return (environment.PATH ?? "").split(delimiter).filter((each) => each.startsWith("/"));
}

/** Where packages put a server's programs, beside what is on the PATH. */
function postgresDirectories(major: string, environment: Environment): string[] {
  const packaged = [`/usr/lib/postgresql/${major}/bin`, `/usr/pgsql-${major}/bin`, "/usr/local/pgsql/bin"];
  return [...packaged, ...pathDirectories(environment)];
}

async function isThere(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false, // which of the reasons it is makes no difference: the program cannot be used
  );
}

async function postgresTools(major: string, environment: Environment): Promise<Tools> {
  for (const bin of postgresDirectories(major, environment)) {
    if (!(await isThere(join(bin, "pg_dump"))) || !(await isThere(join(bin, "pg_ctl")))) continue;
    if (String((await programVersion(bin))?.major) === major) return { postgresBin: bin };
  }
  return {};
}

async function firstThere(paths: readonly string[]): Promise<string | undefined> {
  for (const path of paths) if (await isThere(path)) return path;
  return undefined;
}

async function neo4jTools({ NEO4J_HOME, JAVA_HOME, ...environment }: Environment): Promise<Tools> {
  const homes = [...(NEO4J_HOME === undefined ? [] : [NEO4J_HOME]), "/usr/share/neo4j", "/opt/neo4j", "/var/lib/neo4j"];
  const javas = [...(JAVA_HOME === undefined ? [] : [join(JAVA_HOME, "bin")]), ...pathDirectories(environment)];
  const neo4jLib = await firstThere(homes.map((home) => join(home, "lib")));
  const java = await firstThere(javas.map((directory) => join(directory, "java")));
  return { ...(neo4jLib === undefined ? {} : { neo4jLib }), ...(java === undefined ? {} : { java }) };
}

/**
 * The store's programs for one source: those that the settings of its agents name, else those that are installed on this
 * machine. Nothing is fetched.
 */
export async function exportTools(
  { kind, runtime }: Pick<PointSource, "kind" | "runtime">,
  environment: Environment,
): Promise<Tools> {
  const settings = toolsOf(agentSettings.parse({ STILLPOINT_WORK_DIRECTORY: "/", ...environment }));
  if (kind === "neo4j" && settings.neo4jLib === undefined) return { ...(await neo4jTools(environment)), ...settings };
  if (kind !== "postgres") return settings;
  const user = settings.serverUser ?? (await unprivilegedUser())?.name;
  const major = /^pg(\d+)/.exec(runtime.id)?.[1] ?? "";
  const isSet =
    settings.postgresBin !== undefined && String((await programVersion(settings.postgresBin))?.major) === major;
  return {
    ...settings,
    ...(isSet ? {} : await postgresTools(major, environment)),
    ...(user === undefined ? {} : { serverUser: user }),
  };
}

/** What is missing on this machine, before anything is read; undefined where nothing is. */
export function whatIsMissing({ kind, runtime, mark }: PointSource, tools: Tools): StillpointError | undefined {
  const missing = (needed: string, hint: string) =>
    new StillpointError("STORE_NOT_INSTALLED", {
      what: "Cannot export a source",
      why: `${needed} is not installed here, and its own tools make the file`,
      hint,
    });
  // Dumps are what is exported already.
  if (kind === "postgres" && tools.postgresBin === undefined && !("dump" in mark.detail)) {
    const major = /^pg(\d+)/.exec(runtime.id)?.[1] ?? runtime.version;
    const hint = `install it (apt-get install postgresql-${major}), or set STILLPOINT_POSTGRES_BIN to its directory of programs`;
    return missing(`PostgreSQL ${major} with pg_dump`, hint);
  }
  if (kind === "neo4j" && (tools.neo4jLib === undefined || tools.java === undefined))
    return missing(
      `Neo4j (${runtime.version}) with Java`,
      "set NEO4J_HOME, or STILLPOINT_NEO4J_LIB and STILLPOINT_JAVA; without it: stillpoint restore, and start a server there",
    );
  return undefined;
}
