import type { ObjectKind } from "../format/kinds.ts";
import { folderOf } from "../replicas/kinds-replicated.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { verifyTwice } from "./read-twice.ts";
import type { CheckProgress, Findings } from "./report.ts";

/** All that is small and read whole: each is authenticated under its name. Backups, points and proofs are followed instead. */
const KINDS = [
  "config",
  "epochs",
  "keys",
  "index",
  "holds",
  "records",
  "tails",
  "changes",
  "condemned",
] as const satisfies readonly ObjectKind[];

export async function checkObjects(
  context: RepositoryContext,
  found: Findings,
  { signal, tell }: { signal?: AbortSignal | undefined; tell: (progress: CheckProgress) => void },
): Promise<void> {
  let done = 0;
  let bytes = 0;
  for (const kind of KINDS)
    for await (const { name } of context.store.list(folderOf(kind), { signal })) {
      const read = await verifyTwice(context, found, name, signal);
      if (typeof read === "object") bytes += read.bytes;
      tell({ step: "objects", done: ++done, bytes });
    }
}
