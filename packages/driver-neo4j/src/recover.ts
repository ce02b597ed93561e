import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget as Wanted } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import type { DriverContext } from "@stillpoint/driver/driver";
import { fetchedAhead } from "@stillpoint/driver/fetch-ahead";
import { moveOver } from "@stillpoint/driver/move-over";
import type { RecoverInput } from "@stillpoint/driver/recover";
import { joinShippedSystemLog, layTail } from "./lay-log.ts";
import type { LogTarget } from "./log-reach.ts";
import { databaseIn, markAt } from "./log-target.ts";

/** Tails into the files that they continue, closed files over them, and the target looked for commit by commit. */
export async function recoverLog(
  { directory, base, log, target, marked, cutId }: RecoverInput,
  { signal }: Pick<DriverContext, "signal">,
): Promise<Mark> {
  const wanted = logTarget(target);
  const database = await databaseIn(join(directory, "data"));
  for await (const piece of fetchedAhead(log, directory)) {
    if (piece.type === "closed") {
      await moveOver(piece.directory, directory);
      await joinShippedSystemLog(directory);
    } else await layTail(directory, database, piece.range, piece.bytes);
  }
  const shippedTo = log.at(-1)?.range.to;
  return await markAt(directory, base, wanted, { cutId, signal, shippedTo, marked: marked?.at });
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
