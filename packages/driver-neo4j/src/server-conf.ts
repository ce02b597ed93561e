/** Neo4j's settings as the lines of a neo4j.conf. Nothing of a source's own file is ever taken over. */
export function confText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value}\n`)
    .join("");
}

/** True of every server that is started on restored files. */
const SILENT = {
  "server.default_listen_address": "127.0.0.1",
  "server.https.enabled": "false",
  "dbms.usage_report.enabled": "false",
  "db.tx_log.preallocate": "false",
  "db.tx_log.rotation.retention_policy": "keep_all",
  "dbms.security.auth_enabled": "true",
};

/** For the person who starts a server on a restored directory: its users are the source's. */
export function restoredSettings(database: string): Record<string, string> {
  return { ...SILENT, "initial.dbms.default_database": database, "server.memory.pagecache.size": "256m" };
}

export type SandboxSettings = {
  database: string;
  dataDirectory: string;
  /** For logs and everything else that is not data. */
  directory: string;
  boltPort: number;
  pageCacheMiB: number;
};

export function sandboxSettings(sandbox: SandboxSettings): Record<string, string> {
  const { database, dataDirectory, directory, boltPort, pageCacheMiB } = sandbox;
  return {
    ...SILENT,
    "initial.dbms.default_database": database,
    "server.directories.data": dataDirectory,
    "server.directories.logs": `${directory}/logs`,
    "server.directories.run": `${directory}/run`,
    "server.directories.plugins": `${directory}/plugins`,
    "server.directories.import": `${directory}/import`,
    "server.memory.pagecache.size": `${pageCacheMiB}m`,
    "server.http.enabled": "false",
    "server.bolt.listen_address": `127.0.0.1:${boltPort}`,
    "db.checkpoint.interval.time": "1h",
    // The server waits 10 s for connections to end by themselves before it stops; nobody else is connected here.
    "internal.dbms.bolt.netty_server_shutdown_quiet_period": "0",
    "internal.dbms.bolt.netty_server_shutdown_timeout": "1s",
  };
}
