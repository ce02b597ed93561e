import { createHash } from "node:crypto";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { fetchOnce } from "./fetch-once.ts";
import type { Neo4jPart } from "./neo4j-part.ts";
import { startNeo4j } from "./neo4j-server.ts";
import type { PartOptions } from "./part-options.ts";

/**
 * An archive of the classes that a start loads (measured: a start takes 5 s with it, 10 s without). Java writes it when
 * a server ends, so one is started and stopped for it, once. It holds for this Java and these jars at this place only,
 * which is why both are in its name; a Java that finds it unfit goes on without it.
 */
export async function classArchive(part: Neo4jPart, javaRelease: string, options: PartOptions): Promise<string> {
  const key = createHash("sha256").update(`${part.libDirectory}\n${javaRelease}`).digest("hex").slice(0, 8);
  const directory = await fetchOnce(options, `neo4j-${part.version}-classes-${key}`, async (temporary) => {
    options.log?.(`Neo4j ${part.version}: first start, to archive its classes (20 s)`);
    const home = join(temporary, "home");
    const javaArguments = [`-XX:ArchiveClassesAtExit=${join(temporary, "classes.jsa")}`];
    await using server = await startNeo4j({ part: { ...part, javaArguments }, dir: home });
    await server.stop();
    await rm(home, { recursive: true, force: true });
  });
  return join(directory, "classes.jsa");
}
