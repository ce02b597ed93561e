import { mkdir, open, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogTarget } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import { fetchedAhead } from "@stillpoint/driver/fetch-ahead";
import type { RecoverInput } from "@stillpoint/driver/recover";
import { checkTreePath } from "@stillpoint/driver/tree-path";
import { baseRecord } from "./base-record.ts";
import type { MarkDetail } from "./mark-detail.ts";
import { RECORD_PATH, record } from "./record.ts";
import { restoreShipped } from "./restore-shipped.ts";
import { BASE_PATH, SHIPPED_DIRECTORY } from "./shipped-files.ts";
import { type ShippedTarget, shippedFiles } from "./shipped-log.ts";

const PIECES = ".stillpoint/pieces";
/** Where a database's header counts its changes. */
const COUNTER_AT = 24;

/** Replays the log into the base's databases, which are whole files afterwards, with no log beside them. */
export async function recoverShipped({ directory, log, target, marked, cutId }: RecoverInput): Promise<Mark> {
  const pieces = join(directory, PIECES);
  const paths: string[] = [];
  await mkdir(pieces, { recursive: true });
  try {
    let taken = 0;
    for await (const piece of fetchedAhead(log, directory)) {
      const path = join(pieces, String(taken++));
      if (piece.type === "tail") {
        await writeFile(path, piece.bytes);
        paths.push(path);
        continue;
      }
      await rename(piece.directory, path);
      paths.push(...(await shippedFiles(path)));
    }
    const restored = await restoreShipped({
      base: directory,
      log: paths,
      to: directory,
      target: marked === undefined ? shippedTarget(target) : { position: marked },
    });
    if (marked !== undefined) return await markOfPoint(directory, cutId);
    const names = new Set(restored.databases.map(({ name }) => name));
    const before = baseRecord.parse(JSON.parse(await readFile(join(directory, BASE_PATH), "utf8")));
    for (const { name } of before.databases) if (!names.has(name)) await rm(join(directory, name), { force: true });
    const databases: MarkDetail["databases"] = [];
    for (const name of names)
      databases.push({ mode: "rollback", name, counter: await changeCounter(join(directory, name)) });
    const [since, until] = [toInstant(restored.committedBefore), toInstant(restored.nothingAfter)];
    return {
      cutId,
      position: `all that was committed before ${since}`,
      detail: { databases } satisfies MarkDetail,
      notes: [`nothing that was committed after ${until}`],
    };
  } finally {
    for (const left of [PIECES, SHIPPED_DIRECTORY]) await rm(join(directory, left), { recursive: true, force: true });
  }
}

/** Of a point that rests on the log: its finish, which lies in the directory too, says which databases it has. */
async function markOfPoint(directory: string, cutId: string): Promise<Mark> {
  const { databases } = record.parse(JSON.parse(await readFile(join(directory, RECORD_PATH), "utf8")));
  const detail: MarkDetail = { databases: [] };
  for (const { name, mode, frames } of databases) {
    if (mode === "wal") detail.databases.push({ mode, name, salts: [0, 0], frame: frames, frames });
    else detail.databases.push({ mode, name, counter: await changeCounter(join(directory, checkTreePath(name))) });
  }
  return { cutId, position: `${databases.length} databases`, detail, notes: [] };
}

function shippedTarget(target: LogTarget): ShippedTarget {
  if (target.by === "latest") return "newest";
  if (target.by === "time") return { moment: Date.parse(target.at) };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot recover SQLite to this target",
    where: target.by,
    why: "its log has no transactions' ids, and its positions say nothing to people",
    hint: "name a time, or latest",
  });
}

async function changeCounter(path: string): Promise<number> {
  await using file = await open(path, "r");
  const { buffer, bytesRead } = await file.read(Buffer.alloc(4), 0, 4, COUNTER_AT);
  return bytesRead === 4 ? buffer.readUInt32BE(0) : 0;
}
