import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import type { Peers } from "./server.ts";

const collectionList = z.object({ result: z.object({ collections: z.array(z.object({ name: z.string() })) }) });
const aliasList = z.object({
  result: z.object({ aliases: z.array(z.object({ alias_name: z.string(), collection_name: z.string() })) }),
});

export async function readCollectionNames([server]: Peers, signal: AbortSignal): Promise<string[]> {
  const about = { what: "Cannot list what the server holds", signal };
  const { result } = await ask(server, about, collectionList, (init) => server.api.getCollections({}, init));
  return result.collections.map(({ name }) => name).sort();
}

export async function readAliasesOf([server]: Peers, signal: AbortSignal): Promise<ReadonlyMap<string, string>> {
  const about = { what: "Cannot list the server's aliases", signal };
  const { result } = await ask(server, about, aliasList, (init) => server.api.getCollectionsAliases({}, init));
  return new Map(result.aliases.map((each) => [each.alias_name, each.collection_name]));
}

/** Those that are named, or all; throws for one that is not there. */
export function chosenCollections(known: readonly string[], named: readonly string[], where: string): string[] {
  const unknown = named.find((name) => !known.includes(name));
  if (unknown === undefined) return [...(named.length === 0 ? known : named)];
  throw new StillpointError("NOT_FOUND", {
    what: "There is no such collection",
    where: `${where}, ${unknown}`,
    why: `there is ${known.join(", ") || "none"}`,
  });
}
