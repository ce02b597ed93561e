import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { z } from "zod";
import { ask } from "./ask.ts";
import { parseBaseUrl } from "./base-url.ts";
import { forEach } from "./for-each.ts";
import { type Peers, qdrantServer } from "./server.ts";
import { compareVersions, readVersion, type ServerVersion } from "./server-version.ts";

/** Every peer of a cluster that is named, or the one server there is. */
export function connect(at: { url: string; peers?: string[] | undefined }, key: Secret | undefined): Peers {
  const to = (url: string) => qdrantServer(parseBaseUrl(url), key);
  return [to(at.url), ...(at.peers ?? []).map(to)];
}

const clusterStatus = z.object({
  result: z.object({
    status: z.string(),
    peer_id: z.union([z.number(), z.bigint()]).exactOptional(),
    peers: z.record(z.string(), z.unknown()).exactOptional(),
  }),
});

/** The ids of all peers of the cluster that the first one is in, and of those that are named; one of each for a server alone. */
export async function readPeers(peers: Peers, signal: AbortSignal): Promise<{ all: string[]; named: string[] }> {
  const statuses = await forEach(peers, signal, async (peer) => {
    const about = { what: "Cannot ask a server for its cluster", signal };
    const { result } = await ask(peer, about, clusterStatus, (init) => peer.api.clusterStatus({}, init));
    const isAlone = result.status !== "enabled";
    return {
      id: isAlone ? peer.url : String(result.peer_id),
      all: isAlone ? [peer.url] : Object.keys(result.peers ?? {}),
    };
  });
  const named = statuses.map(({ id }) => id);
  return { all: statuses[0]?.all ?? [], named };
}

/** Throws unless the addresses are those of different peers of one cluster: a load balancer answers for any of them. */
async function requireOneCluster(peers: Peers, signal: AbortSignal): Promise<void> {
  if (peers.length === 1) return;
  const { all, named } = await readPeers(peers, signal);
  const twice = peers.filter((_, at) => named.indexOf(named[at] ?? "") !== at);
  const strange = peers.filter((_, at) => !all.includes(named[at] ?? ""));
  const [wrong] = [...twice, ...strange];
  if (wrong === undefined) return;
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot tell the cluster's peers from one another",
    where: wrong.url,
    why: twice.length > 0 ? "two addresses are answered by one peer" : "it belongs to no cluster of the first address",
    hint: "name each peer by an address of its own, not by a load balancer's",
  });
}

/** Of servers that are being upgraded the newest: an older one would not take what it wrote. */
export async function newestVersion(peers: Peers, signal: AbortSignal): Promise<ServerVersion> {
  const [first, ...others] = await forEach(peers, signal, (peer) => readVersion(peer, signal));
  if (first === undefined) throw new TypeError("unreachable: there is a first peer");
  await requireOneCluster(peers, signal);
  return others.reduce((newest, each) => (compareVersions(each.version, newest.version) > 0 ? each : newest), first);
}
