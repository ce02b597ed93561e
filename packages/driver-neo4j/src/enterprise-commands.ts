/** Directory of a tree in which the tool's files are. */
export const ARTIFACTS = "backup";

export type BackupType = "FULL" | "DIFF";

/**
 * Pure: asks a running Enterprise server for a backup of databases. Not compressed, for the repository compresses, and finds
 * what is there already only in what is not.
 */
export function backupArguments(
  databases: readonly string[],
  { from, toPath, tempPath, type }: { from: string; toPath: string; tempPath: string; type: BackupType },
): string[] {
  return [
    "database",
    "backup",
    `--from=${from}`,
    `--to-path=${toPath}`,
    `--temp-path=${tempPath}`,
    `--type=${type}`,
    "--compress=false",
    ...databases,
  ];
}

/** Pure: asks what is in a directory of such files. */
export function inspectArguments(path: string): string[] {
  return ["database", "backup", `--inspect-path=${path}`];
}

/**
 * Pure: restores a chain, which the tool finds by its last file, up to a transaction and with it. The tool ends before the one that
 * it is given.
 */
export function restoreArguments(
  database: string,
  { lastArtifact, txId, tempPath }: { lastArtifact: string; txId: number; tempPath: string },
): string[] {
  return [
    "database",
    "restore",
    `--from-path=${lastArtifact}`,
    `--restore-until=${txId + 1}`,
    `--temp-path=${tempPath}`,
    "--overwrite-destination=true",
    database,
  ];
}
