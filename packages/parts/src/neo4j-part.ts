import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { ensureJava, ensureMaven } from "./java-part.ts";
import { classArchive } from "./neo4j-class-archive.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

export const NEO4J_VERSION = "5.26.30";

export type Neo4jPart = {
  readonly java: string;
  /** For every start of a server of this part: its loaded classes from an archive, which halves the time a start takes. */
  readonly javaArguments: readonly string[];
  readonly libDirectory: string;
  readonly version: string;
};

/** Neo4j Community out of its published jars: the server's own artifact has neither a storage engine nor an entry point. */
export async function ensureNeo4j(options: PartOptions): Promise<Neo4jPart> {
  return firstThatWorks(`Neo4j Community ${NEO4J_VERSION}`, "install Java 17 or newer and Maven", [
    async () => {
      // Maven first: the distribution's package of it brings a Java that will often do.
      const directory = await fetchOnce(options, `neo4j-${NEO4J_VERSION}`, (temporary) => copyJars(temporary, options));
      const java = await ensureJava(options);
      const part = {
        java: java.command,
        javaArguments: [],
        libDirectory: join(directory, "lib"),
        version: NEO4J_VERSION,
      };
      const archive = await classArchive(part, java.release, options);
      return { ...part, javaArguments: [`-XX:SharedArchiveFile=${archive}`] };
    },
  ]);
}

async function copyJars(directory: string, options: PartOptions): Promise<void> {
  const maven = await ensureMaven(options);
  options.log?.(`Neo4j ${NEO4J_VERSION}: fetching (125 MB)`);
  await writeFile(join(directory, "pom.xml"), pom(NEO4J_VERSION));
  const goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"];
  await runToEnd(maven, ["-q", "-B", ...goal, `-DoutputDirectory=${join(directory, "lib")}`], {
    cwd: directory,
    env: options.env ?? process.env,
  });
}

function pom(version: string): string {
  const dependency = (group: string, artifact: string) =>
    `<dependency><groupId>${group}</groupId><artifactId>${artifact}</artifactId><version>${version}</version></dependency>`;
  return `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>stillpoint</groupId><artifactId>neo4j-part</artifactId><version>1</version><packaging>pom</packaging>
  <dependencies>
    ${dependency("org.neo4j", "neo4j")}
    ${dependency("org.neo4j.app", "neo4j-server")}
    ${dependency("org.neo4j", "neo4j-slf4j-provider")}
  </dependencies>
</project>
`;
}
