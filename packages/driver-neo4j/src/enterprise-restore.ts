import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { type AdminProgram, runAdmin } from "./admin-program.ts";
import { chainTo, parseArtifacts } from "./artifact-table.ts";
import { ARTIFACTS, inspectArguments, restoreArguments } from "./enterprise-commands.ts";
import type { EnterpriseDetail } from "./mark-detail.ts";

export type EnterpriseRestore = {
  /** Holds the restored tree. */
  directory: string;
  /** The home and configuration of the server that is given the databases; it must not run. */
  home: string;
  conf: string;
  detail: EnterpriseDetail;
  signal: AbortSignal;
};

/** Gives a server's directory the databases of a backup, each up to its mark. The system database is left out: the server has its own. */
export async function restoreEnterprise(admin: AdminProgram, restore: EnterpriseRestore): Promise<void> {
  const { directory, home, conf, detail, signal } = restore;
  if (!admin.offers.has("restore")) {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "Cannot restore a backup of Neo4j Enterprise",
      where: admin.command.join(" "),
      why: "this neo4j-admin has no `database restore`: it is Community's",
      hint: "set STILLPOINT_NEO4J_ADMIN to the neo4j-admin of Neo4j Enterprise",
    });
  }
  const path = join(directory, ARTIFACTS);
  const env = { NEO4J_HOME: home, NEO4J_CONF: conf };
  const tempPath = join(home, "temporary");
  await mkdir(tempPath, { recursive: true, mode: 0o700 });
  const what = "Cannot restore a backup of Neo4j Enterprise";
  const artifacts = parseArtifacts(await runAdmin(admin, inspectArguments(path), { what, signal, env }));
  const there = new Set(await readdir(path));
  for (const { database, txId } of detail.databases) {
    const last = chainTo(
      artifacts.filter(({ file }) => there.has(file)),
      database,
      txId,
    ).at(-1);
    if (last === undefined) throw new TypeError("a chain has a full");
    const args = restoreArguments(database, { lastArtifact: join(path, last.file), txId, tempPath });
    await runAdmin(admin, args, { what, signal, env });
  }
}
