import { join } from "node:path";
import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget as Wanted } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { RecoverInput } from "@stillpoint/driver/recover";
import type { LogTarget } from "./log-reach.ts";
import { databaseIn, markAt, tailPlace } from "./log-target.ts";

/** Tails into the files that they continue, closed files over them, and the target looked for commit by commit. */
export async function recoverLog(
  { directory, base, log, target, cutId }: RecoverInput,
  { signal }: Pick<DriverContext, "signal">,
): Promise<Mark> {
  const wanted = logTarget(target);
  const database = await databaseIn(join(directory, "data"));
  const tree = directoryTree(directory);
  for (const piece of log) {
    if (piece.type === "closed") {
      await piece.extract(directory);
      continue;
    }
    const bytes = await piece.read();
    const { path, offset } = tailPlace(database, piece.range);
    const place = {
      path,
      mode: 0o600,
      mtimeMs: 0,
      size: bytes.length,
      hint: "content",
      ...(offset > 0 && { offset }),
    } as const;
    await tree.add({ type: "file", ...place }, Readable.from([bytes]));
  }
  await tree.finish();
  return await markAt(directory, base, wanted, { cutId, signal });
}

function logTarget(target: Wanted): LogTarget {
  if (target.by === "latest") return { to: "newest" };
  if (target.by === "time") return { to: "moment", ms: Date.parse(target.at) };
  const isNumber = target.by === "transaction" && /^\d{1,15}$/.test(target.id);
  if (isNumber) return { to: "transaction", txId: Number(target.id) - (target.inclusive ? 0 : 1) };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot recover Neo4j to this target",
    where: target.by === "transaction" ? target.id : target.by,
    why:
      target.by === "transaction" ? "a transaction's id is a number" : "its log has neither names nor such positions",
    hint: "name a time, a transaction (tx:<id>), or latest",
  });
}
