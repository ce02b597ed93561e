import { StillpointError } from "@stillpoint/contracts/errors";
import type { Mark } from "@stillpoint/contracts/point";
import type { LayoutStep } from "@stillpoint/driver/driver";
import type { TreeFile } from "@stillpoint/driver/tree";
import { checkpointVersionOf, logName, logVersionOf } from "./log-position.ts";
import { detailOf, type StoreMark } from "./mark-detail.ts";
import { confText, restoredSettings } from "./server-conf.ts";
import { logDirectory } from "./store-capture.ts";

/**
 * The steps to a directory that is a home of the server (`--home-dir`), whose own recovery goes to the mark and no
 * further. Throws VERIFICATION_FAILED for trees that recovery would make something wrong of.
 */
export function layoutNeo4j(files: readonly TreeFile[], mark: Mark): LayoutStep[] {
  const detail = detailOf(mark);
  // What is imported, or restored by the store's own tool, becomes no server's directory here.
  if (detail.format !== "physical") return [];
  return [
    ...layoutStore(files, detail.system),
    ...layoutStore(files, detail),
    ...["logs", "plugins", "import", "run"].map((path) => ({ do: "directory", path, mode: 0o700 }) as const),
    { do: "write", path: "conf/neo4j.conf", content: confText(restoredSettings(detail.database)), mode: 0o600 },
  ];
}

function layoutStore(files: readonly TreeFile[], store: StoreMark): LayoutStep[] {
  const directory = logDirectory("data", store.database);
  const sizes = new Map<string, number>();
  for (const { path, size } of files) {
    if (path.startsWith(`${directory}/`)) sizes.set(path.slice(directory.length + 1), size);
  }
  requireCheckpoint(directory, sizes, store);
  requireLog(directory, sizes, store);
  const later = [...sizes.keys()].filter((name) => (logVersionOf(name) ?? 0) > store.logVersion);
  return [
    ...later.sort().map((name) => ({ do: "remove", path: `${directory}/${name}` }) as const),
    { do: "truncate", path: `${directory}/${logName(store.logVersion)}`, size: store.offset },
  ];
}

/** A newer checkpoint with older store files starts, and has silently lost what lies between the two. */
function requireCheckpoint(directory: string, sizes: ReadonlyMap<string, number>, store: StoreMark): void {
  const found = [...sizes.keys()].filter((name) => checkpointVersionOf(name) !== undefined);
  const own = new Map(store.checkpointFiles.map(({ name, size }) => [name, size]));
  const foreign = found.filter((name) => own.get(name) !== sizes.get(name));
  const missing = [...own.keys()].filter((name) => !sizes.has(name));
  if (foreign.length === 0 && missing.length === 0) return;
  throw refused(
    directory,
    foreign.length > 0
      ? `${foreign.join(", ")} is not the checkpoint that the base was made with`
      : `${missing.join(", ")} is missing`,
  );
}

function requireLog(directory: string, sizes: ReadonlyMap<string, number>, store: StoreMark): void {
  for (let version = store.firstLogVersion; version <= store.logVersion; version += 1) {
    const size = sizes.get(logName(version));
    if (size === undefined) throw refused(directory, `${logName(version)} is missing`);
    if (version === store.logVersion && size < store.offset) {
      throw refused(directory, `${logName(version)} has ${size} bytes, and the mark is at byte ${store.offset}`);
    }
  }
  if (store.txId < store.floor) {
    throw refused(directory, `tx ${store.txId} is before the end of the base, tx ${store.floor}`);
  }
}

function refused(where: string, why: string): StillpointError {
  return new StillpointError("VERIFICATION_FAILED", {
    what: "Refused to lay out a Neo4j database",
    where,
    why,
    hint: "extract the full and its logs, in order, into an empty directory",
  });
}
