import { readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import semver from "semver";
import { installPackages } from "./apt-packages.ts";
import { findOnPath, isExecutable, runToEnd } from "./command.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

export const POSTGRES_MINIMUM_MAJOR = 15;
const DEBIAN_ROOT = "/usr/lib/postgresql";
const CREATE_CLUSTER = "/etc/postgresql-common/createcluster.conf";

export type PostgresPart = { readonly binDirectory: string; readonly version: string; readonly major: number };

export async function ensurePostgres(options: PartOptions): Promise<PostgresPart> {
  return firstThatWorks(`PostgreSQL ${POSTGRES_MINIMUM_MAJOR} or newer`, "run as root: apt-get install postgresql", [
    () => findPostgres(options.env ?? process.env),
    async () => {
      await installServer(options);
      return findPostgres(options.env ?? process.env);
    },
  ]);
}

/** The newest server on the machine. `pg_config` alone proves nothing: it comes with the client library's headers. */
async function findPostgres(env: NodeJS.ProcessEnv): Promise<PostgresPart> {
  const debian = await readdir(DEBIAN_ROOT).catch(() => []);
  const directories = debian.map((major) => join(DEBIAN_ROOT, major, "bin"));
  for (const config of await findOnPath("pg_config", env)) {
    directories.push((await runToEnd(config, ["--bindir"], { env })).stdout.trim());
  }
  const found: PostgresPart[] = [];
  for (const binDirectory of new Set(directories)) {
    if (!(await isExecutable(join(binDirectory, "initdb")))) continue;
    const { stdout } = await runToEnd(join(binDirectory, "postgres"), ["--version"], { env });
    const version = semver.coerce(stdout);
    if (version !== null)
      found.push({ binDirectory, version: `${version.major}.${version.minor}`, major: version.major });
  }
  const newest = found.sort((a, b) => b.major - a.major)[0];
  if (newest === undefined) throw new Error("no PostgreSQL server is on this machine");
  if (newest.major < POSTGRES_MINIMUM_MAJOR) throw new Error(`${newest.binDirectory} is PostgreSQL ${newest.version}`);
  return newest;
}

/** `postgresql-common` only: the server itself comes after it, when no cluster will be made with it. */
export async function missingPostgres(env: NodeJS.ProcessEnv): Promise<string[]> {
  return findPostgres(env).then(
    () => [],
    () => ["postgresql-common"],
  );
}

/**
 * Installs the distribution's server without the cluster that its package makes and starts by default: we need the
 * programs, and nobody asked for a server on port 5432.
 */
async function installServer(options: PartOptions): Promise<void> {
  await installPackages(["postgresql-common"], options);
  const before = await readFile(CREATE_CLUSTER, "utf8");
  await writeFile(CREATE_CLUSTER, `${before}\ncreate_main_cluster = false\n`);
  try {
    await installPackages(["postgresql"], options);
  } finally {
    await writeFile(CREATE_CLUSTER, before);
  }
}
