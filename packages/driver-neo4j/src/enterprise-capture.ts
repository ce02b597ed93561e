import { createReadStream } from "node:fs";
import { mkdir, readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { type AdminProgram, runAdmin } from "./admin-program.ts";
import { type Artifact, chainTo, parseArtifacts } from "./artifact-table.ts";
import type { BoltSource, CaptureSteps } from "./bolt-source.ts";
import { ARTIFACTS, type BackupType, backupArguments, inspectArguments } from "./enterprise-commands.ts";
import { fileEntry } from "./file-entry.ts";
import type { EnterpriseDetail } from "./mark-detail.ts";
import { lastCommitted } from "./server-facts.ts";

export type EnterpriseSource = BoltSource & {
  admin: AdminProgram;
  /** Beside the system database, which always comes along. */
  databases: readonly string[];
  /** Where the server's backup service listens. */
  backupAddress: string;
};

/**
 * Enterprise, by its own tool: a full backup before the cut, a differential one behind the mark, restored up to the mark's
 * transactions. Both lie on the agent's disk until the capture ends, for the second goes on from the first.
 */
export function openEnterprise(source: EnterpriseSource, context: DriverContext): CaptureSteps {
  const { driver, where, facts, description, admin, backupAddress } = source;
  const databases = [...source.databases, "system"];
  const toPath = join(context.directory, ARTIFACTS);
  const tempPath = join(context.directory, "temporary");
  const sent = new Set<string>();
  let marked: EnterpriseDetail | undefined;

  const backUp = async (type: BackupType) => {
    for (const path of [toPath, tempPath]) await mkdir(path, { recursive: true, mode: 0o700 });
    const args = backupArguments(databases, { from: backupAddress, toPath, tempPath, type });
    await runAdmin(admin, args, { what: "Cannot back up Neo4j Enterprise", signal: context.signal });
  };
  const inspect = async (): Promise<Artifact[]> => {
    const what = "Cannot read the backups of Neo4j Enterprise";
    return parseArtifacts(await runAdmin(admin, inspectArguments(toPath), { what, signal: context.signal }));
  };
  const send = async (tree: TreeWriter, names: readonly string[]) => {
    for (const name of names) {
      const stats = await stat(join(toPath, name));
      const entry = fileEntry({ path: `${ARTIFACTS}/${name}`, stats, hint: "content" });
      const { torn } = await tree.add(entry, createReadStream(join(toPath, name)));
      if (torn) throw changed(join(toPath, name));
      sent.add(name);
    }
  };

  return {
    description,
    async base(tree) {
      sent.clear();
      await backUp("FULL");
      await send(tree, (await readdir(toPath)).filter((name) => name.endsWith(".backup")).sort());
    },
    async settle() {
      for (const database of source.databases) await lastCommitted(driver, database, where);
    },
    async mark({ cutId }) {
      const ends = source.databases.map(async (database) => ({
        database,
        txId: await lastCommitted(driver, database, where),
      }));
      const [first, ...rest] = await Promise.all(ends);
      if (first === undefined) throw new TypeError("a source has a database");
      marked = {
        format: "enterprise",
        database: first.database,
        databaseId: facts.databaseId,
        databases: [first, ...rest],
      };
      const position = marked.databases.map(({ database, txId }) => `${database} tx ${txId}`).join(", ");
      return { cutId, position, detail: marked, notes: [] };
    },
    async finish(tree) {
      if (marked === undefined) throw new TypeError("the mark comes before the finish");
      await backUp("DIFF");
      const artifacts = await inspect();
      for (const { database, txId } of marked.databases) chainTo(artifacts, database, txId);
      await send(
        tree,
        artifacts.map(({ file }) => file).filter((file) => !sent.has(file)),
      );
    },
  };
}

function changed(where: string): StillpointError {
  return new StillpointError("SOURCE_CHANGED", {
    what: "A file of neo4j-admin changed while it was read",
    where,
    hint: "does another program write to the agent's work directory?",
  });
}
