import { StillpointError } from "@stillpoint/contracts/errors";
import { installForParts } from "@stillpoint/parts/machine-packages";
import { ensureNeo4j } from "@stillpoint/parts/neo4j-part";
import { ensurePostgres } from "@stillpoint/parts/postgres-part";
import { ensureQdrant } from "@stillpoint/parts/qdrant-part";
import { unprivilegedUser } from "@stillpoint/parts/server-user";

/** Settings that tell the agents where the stores' programs lie, for rehearsals. What cannot be had is said, loudly. */
export async function locateTools(directory: string, say: (line: string) => void): Promise<Record<string, string>> {
  const options = { directory, log: (line: string) => say(`  ${line}`) };
  await installForParts(["tools", "pip", "postgres", "maven"], options);
  const settings: Record<string, string> = {};
  const user = await unprivilegedUser();
  if (user !== undefined) settings.STILLPOINT_SERVER_USER = user.name;
  await orSayWhy("PostgreSQL", say, async () => {
    settings.STILLPOINT_POSTGRES_BIN = (await ensurePostgres(options)).binDirectory;
  });
  await orSayWhy("Neo4j", say, async () => {
    const { java, javaArguments, libDirectory } = await ensureNeo4j(options);
    settings.STILLPOINT_JAVA = java;
    settings.STILLPOINT_JAVA_OPTIONS = JSON.stringify(javaArguments);
    settings.STILLPOINT_NEO4J_LIB = libDirectory;
  });
  await orSayWhy("Qdrant", say, async () => {
    settings.STILLPOINT_QDRANT_COMMAND = JSON.stringify((await ensureQdrant(options)).command);
  });
  return settings;
}

async function orSayWhy(store: string, say: (line: string) => void, ensure: () => Promise<void>): Promise<void> {
  try {
    await ensure();
  } catch (error) {
    if (!(error instanceof StillpointError && error.code === "STORE_NOT_INSTALLED")) throw error;
    say(`! ${store} cannot run here: ${error.why ?? error.what}`);
    say(`  captures go on, but no rehearsal of it is possible; do: ${error.hint ?? "install it"}`);
  }
}
