import { z } from "zod";
import { ask } from "./ask.ts";
import type { QdrantServer } from "./server.ts";

export type AliasAction =
  | { create_alias: { alias_name: string; collection_name: string } }
  | { delete_alias: { alias_name: string } };

export function aliasActions(aliases: Record<string, string>): AliasAction[] {
  return Object.entries(aliases).map(([alias_name, collection_name]) => ({
    create_alias: { alias_name, collection_name },
  }));
}

/** From what is to what shall be. An alias that is not told of stays. */
export function aliasChanges(
  now: ReadonlyMap<string, string>,
  wanted: ReadonlyMap<string, string | undefined>,
): AliasAction[] {
  return [...wanted].flatMap(([alias_name, collection_name]): AliasAction[] => {
    const found = now.get(alias_name);
    if (found === collection_name) return [];
    return [
      ...(found === undefined ? [] : [{ delete_alias: { alias_name } }]),
      ...(collection_name === undefined ? [] : [{ create_alias: { alias_name, collection_name } }]),
    ];
  });
}

/** All of them or none: the server takes them in one step. */
export async function changeAliases(
  server: QdrantServer,
  actions: readonly AliasAction[],
  signal: AbortSignal,
): Promise<void> {
  if (actions.length === 0) return;
  const names = actions.map((each) => ("create_alias" in each ? each.create_alias : each.delete_alias).alias_name);
  const about = { what: "Cannot set the aliases", where: [...new Set(names)].join(", "), signal };
  await ask(server, about, z.unknown(), (init) => server.api.updateAliases({ actions: [...actions] }, init));
}

export async function createAliases(
  server: QdrantServer,
  aliases: Record<string, string>,
  signal: AbortSignal,
): Promise<void> {
  await changeAliases(server, aliasActions(aliases), signal);
}
