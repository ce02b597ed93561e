import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import { IN_NO_WINDOW, NO_WINDOW, type Serving, serve } from "./serve.ts";
import type { SourceLog } from "./source-log.ts";
import { deriveLog, type LogWindow } from "./windows.ts";

/** The storage's clock and the source's differ, and what was committed is stored a flush later. */
const CLOCKS_APART_MS = 600_000;

function windowAt(windows: readonly LogWindow[], ms: number): LogWindow {
  const newest = windows.at(-1);
  // Of the newest window the end is not known: what was committed last may be older than what was stored last.
  const found = windows.findLast((each) => each.fromMs <= ms && (each === newest || ms <= each.toMs + CLOCKS_APART_MS));
  if (found !== undefined) return found;
  const near = [
    windows.findLast(({ toMs }) => toMs < ms)?.toMs,
    windows.filter(({ fromMs }) => fromMs > ms).sort((a, b) => a.fromMs - b.fromMs)[0]?.fromMs,
  ].flatMap((each) => (each === undefined ? [] : [toInstant(each)]));
  throw new StillpointError("LOG_GAP", {
    what: "Cannot restore to this moment",
    where: toInstant(ms),
    why: windows.length === 0 ? NO_WINDOW : IN_NO_WINDOW,
    hint:
      near.length === 0
        ? "points can be restored as they are: stillpoint points"
        : `the nearest moments that can be had: ${near.join(", ")}`,
  });
}

/** The first place of the log that was stored so late that all of a moment lies before it. */
function placeBehind(log: Omit<SourceLog, "damaged">, window: LogWindow, ms: number): LogPosition {
  const { stream, at: end } = window.to;
  const behind = [...log.closed, ...log.tails]
    .filter(({ range, storedMs }) => range.stream === stream && range.to <= end && storedMs >= ms + CLOCKS_APART_MS)
    .map(({ range }) => range.to)
    .sort();
  return { stream, at: behind[0] ?? end };
}

/**
 * Pure: what a moment (epoch milliseconds) is restored from: the newest base that was stored before it, and the log from there
 * until well behind it. LOG_GAP names the nearest moments that can be had.
 */
export function serveMoment(log: Omit<SourceLog, "damaged">, ms: number): Serving {
  const window = windowAt(deriveLog(log).windows, ms);
  const inWindow = new Set(window.bases);
  const fulls = log.fulls.filter(({ backupId, storedMs }) => !inWindow.has(backupId) || storedMs <= ms);
  return serve({ ...log, fulls }, placeBehind({ ...log, fulls }, window, ms));
}

/**
 * Pure: the newest place, from the first base of its window: for a target in the store's own words, of which nobody knows which
 * base was before it.
 */
export function serveWholeWindow(log: Omit<SourceLog, "damaged">): Serving {
  const newest = deriveLog(log).windows.at(-1);
  const others = new Set(newest?.bases.filter((base) => base !== newest.base));
  return serve({ ...log, fulls: log.fulls.filter(({ backupId }) => !others.has(backupId)) }, newest?.to ?? "newest");
}
