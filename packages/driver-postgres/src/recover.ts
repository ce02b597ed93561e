import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget } from "@stillpoint/contracts/log";
import type { Mark } from "@stillpoint/contracts/point";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { fetchedAhead } from "@stillpoint/driver/fetch-ahead";
import { moveOver } from "@stillpoint/driver/move-over";
import type { RecoverInput } from "@stillpoint/driver/recover";
import { BASE_PATH, parseBaseFacts } from "./base-facts.ts";
import { checkPlaces } from "./foreign-places.ts";
import { placeOf, walPositionOf } from "./log-position.ts";
import { parseLsn } from "./lsn.ts";
import { parseMarkDetail } from "./mark-detail.ts";
import { type RecoveryTarget, recoveryMark, tailEntry } from "./recovery-target.ts";

/**
 * Segments and tails into the base's `pg_wal`, in their order: a tail continues the segment that is there, and a segment takes
 * the place of what tails made of it.
 */
export async function recoverLog({ directory, base, log, target, cutId }: RecoverInput): Promise<Mark> {
  const facts = parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8"));
  const tree = directoryTree(directory);
  for await (const piece of fetchedAhead(log, directory))
    if (piece.type === "closed") await moveOver(piece.directory, directory);
    else await tree.add(tailEntry(piece.range, 0, facts.segmentBytes), Readable.from([piece.bytes]));
  await tree.finish();
  const last = log.at(-1)?.range ?? base;
  const { timeline, at: until } = walPositionOf({ stream: last.stream, at: last.to });
  const left = log.flatMap(({ range: { after } }) => (after === undefined ? [] : [walPositionOf(after)]));
  const ancestry = left.filter((each, i) => left.findIndex((other) => other.timeline === each.timeline) === i);
  const mark = recoveryMark(facts, { target: recoveryTarget(target), timeline, until, ancestry }, cutId);
  await checkPlaces(directory, parseMarkDetail(mark));
  return mark;
}

export function recoveryTarget(target: LogTarget): RecoveryTarget {
  switch (target.by) {
    case "latest":
      return target;
    case "immediate":
      return target;
    case "time":
      return { ...target, inclusive: target.inclusive ?? true };
    case "name":
      return target;
    case "transaction":
      if (!/^\d{1,20}$/.test(target.id)) throw unknownTarget(target.id, "a transaction's id is a number");
      return { by: "xid", xid: target.id, inclusive: target.inclusive };
    case "position":
      return { by: "lsn", at: lsnOf(target.at), inclusive: target.inclusive };
  }
}

/** As places of the log are written, to compare it with them. */
export function placeOfLsn(text: string): string {
  return placeOf(lsnOf(text));
}

function lsnOf(text: string) {
  try {
    return parseLsn(text);
  } catch (error) {
    throw unknownTarget(text, "an LSN is two hexadecimal numbers: 0/3000060", error);
  }
}

function unknownTarget(where: string, why: string, cause?: unknown): StillpointError {
  return new StillpointError("INVALID_REQUEST", {
    what: "Cannot recover PostgreSQL to this target",
    where,
    why,
    cause,
  });
}
