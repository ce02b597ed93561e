import { z } from "zod";
import type { RepositoryContext } from "../repository-context.ts";
import type { SourceOfPlan } from "./source-log.ts";

/** The oldest generation of long-lived tokens for one source's log that still counts. */
const detail = z.object({ generation: z.number().int().positive() });

const FIRST = 1;
const objectOf = ({ plan, source }: SourceOfPlan) => `log-tokens/${plan}/${source}`;

type TokenContext = Pick<RepositoryContext, "changes">;

export async function tokenGeneration(context: TokenContext, of: SourceOfPlan, signal?: AbortSignal): Promise<number> {
  const newest = (await context.changes.newest(signal)).of("tag", objectOf(of));
  return newest === undefined ? FIRST : detail.parse(newest.detail).generation;
}

/** No token that was minted for this source before counts any more. The generation that counts from now on. */
export async function revokeTokens(context: TokenContext, of: SourceOfPlan, by: string): Promise<number> {
  const generation = (await tokenGeneration(context, of)) + 1;
  await context.changes.append({ change: "tag", object: objectOf(of), by, detail: { generation } });
  return generation;
}
