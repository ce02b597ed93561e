import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { type AliasAction, changeAliases } from "./aliases.ts";
import { ask } from "./ask.ts";
import { unfinishedAlias } from "./into-plan.ts";
import { createCollection, createIndexes, indexRequests, servingCreationOf, untilGreen } from "./make-collection.ts";
import type { StoredCollection } from "./restore-server.ts";
import type { Peers } from "./server.ts";
import { readAliasesOf } from "./server-content.ts";
import { fileContent, shardContent } from "./shard-content.ts";
import { activePlaces, type Seen, seeShards } from "./shard-places.ts";
import { COLLECTION_SNAPSHOT } from "./tree-layout.ts";
import { uploadCollection, uploadShard } from "./upload.ts";

/** Replicas of a shard follow the one that was loaded; a large one is copied for long, and the restore is whole without them. */
const REPLICAS_MS = 300_000;
const POLL_MS = 200;

export async function dropCollection([server]: Peers, name: string, signal: AbortSignal): Promise<void> {
  const about = { what: "Cannot delete a collection", where: name, signal };
  await ask(server, about, z.unknown(), (init) => server.api.deleteCollection({ collection_name: name }, init));
}

/**
 * Makes a collection and loads a backup into it; what had the name goes first. An alias says that it is unfinished from its
 * making on, until the caller takes it away. Aliases on what went are put on what came.
 */
export async function loadCollection(
  peers: Peers,
  { directory, file }: StoredCollection,
  name: string,
  { isThere, say, signal }: { isThere: boolean; say: (line: string) => void; signal: AbortSignal },
): Promise<void> {
  const [server] = peers;
  const marker: AliasAction = { create_alias: { alias_name: unfinishedAlias(name), collection_name: name } };
  const kept: AliasAction[] = [];
  if (isThere) {
    for (const [alias_name, target] of await readAliasesOf(peers, signal))
      if (target === name && alias_name !== marker.create_alias.alias_name)
        kept.push({ create_alias: { alias_name, collection_name: name } });
    say(`${name}: removing what is there`);
    await dropCollection(peers, name, signal);
  }
  await createCollection(server, name, servingCreationOf(file), signal);
  await changeAliases(server, [marker, ...kept], signal);
  await createIndexes(server, name, indexRequests(file), signal);
  if (peers.length === 1 && file.by === "snapshot" && file.snapshots === undefined) {
    say(`${name}: loading its snapshot`);
    await uploadCollection(server, name, await fileContent(join(directory, COLLECTION_SNAPSHOT)), signal);
  } else {
    const { places } = await untilSeen(peers, name, signal, ({ places, wanted }) => places.length === wanted);
    for (const { id, peer } of places) {
      say(`${name}: loading shard ${id}, ${places.length} in all`);
      await uploadShard(peer, name, id, await shardContent(directory, file, id), signal);
    }
  }
  say(`${name}: waiting for the server`);
  await untilSeen(peers, name, signal, ({ seen }) => seen.every(isActive));
  await untilGreen(server, [name], signal);
}

type View = ReturnType<typeof activePlaces> & { seen: Seen[] };

function isActive({ local_shards, remote_shards }: Seen): boolean {
  return [...local_shards, ...remote_shards].every(({ state }) => state === "Active");
}

async function untilSeen(
  peers: Peers,
  name: string,
  signal: AbortSignal,
  holds: (view: View) => boolean,
): Promise<View> {
  const limit = AbortSignal.timeout(REPLICAS_MS);
  for (;;) {
    const seen = await seeShards(peers, name, signal);
    const view = { ...activePlaces(seen), seen };
    if (holds(view)) return view;
    if (limit.aborted) {
      const states = seen.flatMap((each) => [...each.local_shards, ...each.remote_shards]);
      const waiting = [...new Set(states.filter(({ state }) => state !== "Active").map((each) => each.shard_id))];
      throw new StillpointError("VERIFICATION_FAILED", {
        what: "A cluster does not hold a restored collection",
        where: name,
        why: `replicas of shard ${waiting.join(", ")} are not active after ${REPLICAS_MS / 1000} s`,
        hint: "see the server's own log; the same restore can be asked for again",
      });
    }
    await delay(POLL_MS, undefined, { signal });
  }
}
