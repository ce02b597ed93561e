import { StillpointError } from "@stillpoint/contracts/errors";
import type { Runtime } from "@stillpoint/contracts/point";
import { newestVersion, readPeers } from "./cluster.ts";
import { exactCounts } from "./counts.ts";
import type { IntoTarget } from "./into-plan.ts";
import type { Peers } from "./server.ts";
import { readAliasesOf, readCollectionNames } from "./server-content.ts";
import { DOUBLE_RUNTIME } from "./server-version.ts";
import { versionFit } from "./version-fit.ts";

/** What the server holds; counted only where it matters, for a server may hold much that is none of the restore's affair. */
export async function readTarget(
  peers: Peers,
  matters: (name: string) => boolean,
  signal: AbortSignal,
): Promise<IntoTarget> {
  const names = await readCollectionNames(peers, signal);
  const counts = await exactCounts(peers[0], names.filter(matters), signal);
  return {
    collections: new Map(names.map((name) => [name, counts[name] ?? Number.POSITIVE_INFINITY])),
    aliases: await readAliasesOf(peers, signal),
  };
}

/** Throws where the server cannot take what that one wrote. Gives its version, and what a person should know of it. */
export async function requireFit(
  peers: Peers,
  written: Runtime,
  signal: AbortSignal,
): Promise<{ version: string; warnings: string[] }> {
  const { version, isDouble } = await newestVersion(peers, signal);
  const refuse = (why: string, hint: string) =>
    new StillpointError("SOURCE_UNSUPPORTED", { what: "Nothing was restored", where: peers[0].url, why, hint });
  if (isDouble && written.id !== DOUBLE_RUNTIME)
    throw refuse("it is the test double, which must hold no data of worth", "name a Qdrant server");
  const { refused, warning } = versionFit(written.version, version);
  if (refused !== undefined)
    throw refuse(
      refused,
      "upgrade the server, or load an export of the points, which any version takes: stillpoint vectors",
    );
  const { all, named } = await readPeers(peers, signal);
  if (all.length > named.length)
    throw refuse(
      `its cluster has ${all.length} peers, and ${named.length} are named: shards are loaded where they are`,
      "name every other peer by its own address: --peer",
    );
  return { version, warnings: warning === undefined ? [] : [warning] };
}
