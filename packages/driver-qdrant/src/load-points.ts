import { createReadStream } from "node:fs";
import { StillpointError } from "@stillpoint/contracts/errors";
import { jsonLines } from "@stillpoint/driver/json-lines";
import { fileError, lastLine } from "@stillpoint/driver/new-file";
import { z } from "zod";
import { aliasChanges, changeAliases } from "./aliases.ts";
import { answeredInTime } from "./answered-in-time.ts";
import { connect } from "./cluster.ts";
import { exactCounts } from "./counts.ts";
import type { PointsContext, PointsServer, Progress } from "./export-points.ts";
import { unfinishedAlias } from "./into-plan.ts";
import { formatJson } from "./json.ts";
import {
  createCollection,
  createIndexes,
  indexRequests,
  servingCreationOf,
  setLimits,
  untilGreen,
} from "./make-collection.ts";
import { batchesOf } from "./point-batches.ts";
import { aliasesLine, type CollectionLine, collectionLine, endLine, FORMAT, pointsHeader } from "./points-file.ts";
import { openRequest, sendText } from "./raw-request.ts";
import type { Peers } from "./server.ts";
import { chosenCollections, readAliasesOf, readCollectionNames } from "./server-content.ts";

export type LoadWishes = {
  collections: readonly string[];
  rename: ReadonlyMap<string, string>;
  keepAliases: boolean;
};
/** Points by the collection's name here, and those that a broken attempt had loaded already. */
export type Loaded = { collections: Record<string, number>; resumed: number };

/**
 * Loads a file of points into collections that are made for it. One that a broken attempt left says so by an alias, and is
 * gone on with: a batch whose last point is there is there. Whatever is in the way is told before anything is written.
 */
export async function loadPoints(
  at: PointsServer,
  file: string,
  wishes: LoadWishes,
  { secret, signal }: PointsContext,
  progress: Progress,
): Promise<Loaded> {
  const counts = await countsOf(file);
  const peers = connect(at, at.apiKey === undefined ? undefined : secret(at.apiKey));
  const wanted = chosenCollections(Object.keys(counts), wishes.collections, file);
  const names = new Map(wanted.map((name) => [name, wishes.rename.get(name) ?? name]));
  const unfinished = await requireFree(peers, names, signal);
  const loaded: Loaded = { collections: {}, resumed: 0 };
  let done = 0;
  let aliases: Record<string, string> = {};
  let current: { made: CollectionLine; name: string } | undefined;
  const finish = async () => {
    if (current === undefined) return;
    const { made, name } = current;
    await requireCount(peers, name, counts[made.name] ?? 0, signal);
    await setLimits(peers[0], made.config, name, signal);
    loaded.collections[name] = counts[made.name] ?? 0;
  };
  for await (const each of batchesOf(jsonLines(read(file, signal)))) {
    if (each.type === "header") requireFormat(each.value);
    else if (each.type === "collection") {
      await finish();
      const made = parsed(collectionLine, each.value).collection;
      const name = names.get(made.name);
      current = name === undefined ? undefined : { made, name };
      if (name !== undefined && !unfinished.has(name)) await make(peers, made, name, signal);
    } else if (each.type === "aliases") aliases = parsed(aliasesLine, each.value).aliases;
    else if (each.type === "points" && current !== undefined) {
      const isThere = unfinished.has(current.name) && (await holds(peers, current.name, each.lastId, signal));
      if (isThere) loaded.resumed += each.points.length;
      else await upsert(peers, current.name, each.points, signal);
      done += each.points.length;
      progress(done);
    }
  }
  await finish();
  const found = await readAliasesOf(peers, signal);
  const own = Object.entries(wishes.keepAliases ? {} : aliases).flatMap(([alias, target]): [string, string][] => {
    const name = names.get(target);
    return name === undefined ? [] : [[alias, name]];
  });
  const finished = [...names.values()].map((name): [string, undefined] => [unfinishedAlias(name), undefined]);
  await changeAliases(peers[0], aliasChanges(found, new Map([...own, ...finished])), signal);
  await untilGreen(peers[0], [...names.values()], signal);
  return loaded;
}

async function* read(file: string, signal: AbortSignal): AsyncGenerator<Uint8Array> {
  try {
    yield* createReadStream(file, { signal });
  } catch (error) {
    signal.throwIfAborted();
    throw fileError(error, file);
  }
}

/** Before anything is loaded of it: a file that was cut off holds a part of the points. */
async function countsOf(file: string): Promise<Record<string, number>> {
  const text = await lastLine(file);
  const found = text.startsWith('{"end":') && text.endsWith("}}") ? endLine.safeParse(JSON.parse(text)) : undefined;
  if (found?.success === true) return found.data.end;
  throw invalid("it was cut off: its last line, with the counts, is missing", "VERIFICATION_FAILED", file);
}

function requireFormat(value: unknown): void {
  const { vectors } = parsed(pointsHeader, value);
  if (vectors !== FORMAT) throw invalid(`it is of format ${vectors}, and only ${FORMAT} is known`, "FORMAT_UNKNOWN");
}

/** Of the names that shall be made those that are there, unfinished. */
async function requireFree(
  peers: Peers,
  names: ReadonlyMap<string, string>,
  signal: AbortSignal,
): Promise<ReadonlySet<string>> {
  const look = (opening: AbortSignal) => readCollectionNames(peers, opening);
  const there = new Set(await answeredInTime(peers[0].url, signal, look));
  const aliases = await readAliasesOf(peers, signal);
  const unfinished = new Set<string>();
  for (const name of names.values()) {
    if (aliases.get(unfinishedAlias(name)) === name) unfinished.add(name);
    else if (there.has(name) || aliases.has(name))
      throw new StillpointError("CONFLICT", {
        what: "Nothing was loaded",
        where: name,
        why: there.has(name) ? "a collection of that name is there" : `it is an alias of ${aliases.get(name)}`,
        hint: `load it under another name: --rename ${name}=${name}-loaded`,
      });
  }
  return unfinished;
}

async function make(peers: Peers, made: CollectionLine, name: string, signal: AbortSignal): Promise<void> {
  const shards: unknown = Reflect.get(Object(made.config.params), "shard_number");
  const length = typeof shards === "number" ? shards : 1;
  const marker = { create_alias: { alias_name: unfinishedAlias(name), collection_name: name } };
  await createCollection(peers[0], name, servingCreationOf({ config: made.config, shards: { length } }), signal);
  await changeAliases(peers[0], [marker], signal);
  await createIndexes(peers[0], name, indexRequests(made), signal);
}

const retrieved = z.object({ result: z.array(z.unknown()) });

async function holds([server]: Peers, name: string, id: unknown, signal: AbortSignal): Promise<boolean> {
  const path = `/collections/${encodeURIComponent(name)}/points`;
  const about = { what: "Cannot look for a point", where: name, method: "POST" as const, path, signal };
  const body = formatJson({ ids: [id], with_payload: false, with_vector: false });
  return (
    retrieved.parse(JSON.parse(await answerTo(await openRequest(server, about, sendText(body))))).result.length > 0
  );
}

async function upsert([server]: Peers, name: string, points: readonly string[], signal: AbortSignal): Promise<void> {
  const path = `/collections/${encodeURIComponent(name)}/points?wait=true`;
  const about = { what: "Cannot write points", where: name, method: "PUT" as const, path, signal };
  await answerTo(await openRequest(server, about, sendText(`{"points":[${points.join(",")}]}`)));
}

async function answerTo(response: AsyncIterable<unknown>): Promise<string> {
  let text = "";
  for await (const piece of response) text += String(piece);
  return text;
}

async function requireCount(peers: Peers, name: string, wanted: number, signal: AbortSignal): Promise<void> {
  const found = (await exactCounts(peers[0], [name], signal))[name];
  if (found !== wanted) throw invalid(`${found} of ${wanted} points came in`, "VERIFICATION_FAILED", name);
}

function parsed<Value>(schema: z.ZodType<Value>, value: unknown): Value {
  const found = schema.safeParse(value);
  if (found.success) return found.data;
  throw invalid(z.prettifyError(found.error));
}

export function invalid(
  why: string,
  code: "INVALID_REQUEST" | "VERIFICATION_FAILED" | "FORMAT_UNKNOWN" = "INVALID_REQUEST",
  where?: string,
): StillpointError {
  return new StillpointError(code, {
    what: "Cannot load points into the server",
    where,
    why,
    hint: "load a whole file that `stillpoint vectors export` wrote",
  });
}
