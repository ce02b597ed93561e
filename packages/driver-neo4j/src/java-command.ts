/** Neo4j reaches into the JDK's buffers and file channels. */
const OPENS = ["java.base/java.nio", "java.base/java.io", "java.base/sun.nio.ch", "java.base/java.util"].map(
  (name) => `--add-opens=${name}=ALL-UNNAMED`,
);
const MIB = 1024 * 1024;

export type JavaSize = {
  /** Bytes of log that recovery replays. */
  replayBytes: number;
  /** Bytes of the store's files. */
  storeBytes: number;
};

/**
 * Options of a Java that lives for one rehearsal. The quick compiler alone halves the work of a start; the thorough one
 * pays where much is replayed. The serial collector needs the least memory beside other sandboxes.
 */
export function javaOptions({ replayBytes, storeBytes }: JavaSize): string[] {
  const long = replayBytes > 64 * MIB || storeBytes > 1024 * MIB;
  return ["-Xms256m", "-Xmx1g", "-XX:+UseSerialGC", ...(long ? [] : ["-XX:TieredStopAtLevel=1"]), ...OPENS];
}

export function pageCacheMiB({ replayBytes, storeBytes }: JavaSize): number {
  return Math.min(512, Math.max(64, Math.ceil((storeBytes + replayBytes) / MIB)));
}

/** What follows the options: one class path for the server and its tools, so that they share an archive of classes. */
export function serverArguments(lib: string, home: string, conf: string, isEnterprise: boolean): string[] {
  const main = isEnterprise
    ? "com.neo4j.server.enterprise.EnterpriseEntryPoint"
    : "org.neo4j.server.CommunityEntryPoint";
  const entry = [main, `--home-dir=${home}`, `--config-dir=${conf}`];
  return ["-cp", `${lib}/*`, ...entry, "--console-mode"];
}

export function checkArguments(lib: string, database: string, reports: string): string[] {
  const command = ["database", "check", database, `--report-path=${reports}`, "--max-off-heap-memory=512m"];
  return ["-cp", `${lib}/*`, "org.neo4j.cli.AdminTool", ...command];
}

export function dumpArguments(lib: string, database: string, directory: string): string[] {
  const command = ["database", "dump", database, `--to-path=${directory}`];
  return ["-cp", `${lib}/*`, "org.neo4j.cli.AdminTool", ...command];
}
