import type { PointSource } from "@stillpoint/contracts/point";

/** A figure of a source that is far from what it was in the points before. `what`: its bytes, its new bytes, or what was counted. */
export type Finding = { what: string; value: number; usual: number; unit: "bytes" | "%" | "count" };

/**
 * `dataBytes`: what the source holds. All that is laid over its full is as long as the time since then, and says nothing of that.
 * `fresh`: what was new of it, and what that came to when it was compressed; of one that rests on its log, of that.
 */
export type SizedSource = PointSource & { dataBytes: number; fresh: { bytes: number; storedBytes: number } };

/** So many of the newest whole points say what is usual, and fewer than the least say nothing. */
export const POINTS_COMPARED = 7;
const LEAST_POINTS = 3;
/** Off by more than this part of the median. */
const MOST_OFF = 0.5;
/** What is smaller moves by itself. */
const LEAST_BYTES = 1_048_576;
const LEAST_COUNT = 100;
/** Percentage points. What was encrypted in place is new to the repository and does not compress: its share goes to 100 %. */
const MOST_NEW = 30;
/** Percentage points, of what compressed data is long: 100 % is noise, as what is encrypted looks like. */
const MOST_LONGER = 30;
/** What is new and is less of the source than this may be a picture or two. */
const LEAST_FRESH = 0.1;
/** Less than this is names and dates, which say nothing of the data. */
const LEAST_COMPRESSED_BYTES = 65_536;

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor((sorted.length - 1) / 2)] ?? 0;
}

const isOff = (value: number, usual: number) => Math.abs(value - usual) > MOST_OFF * usual;
const newShare = ({ bytes, storedBytes }: PointSource) => (bytes === 0 ? 0 : (100 * storedBytes) / bytes);

/** How long what is new is when it is compressed, in % ; undefined: there is too little of it to say. */
function compressedTo({ fresh, dataBytes }: SizedSource): number | undefined {
  const isMuch = fresh.bytes >= LEAST_BYTES && fresh.bytes >= LEAST_FRESH * dataBytes;
  return isMuch ? (100 * fresh.storedBytes) / fresh.bytes : undefined;
}

function offCounts(source: PointSource, earlier: readonly PointSource[]): Finding[] {
  const counted = earlier.flatMap(({ mark }) => (mark.counts === undefined ? [] : [mark.counts]));
  const now = source.mark.counts;
  if (now === undefined || counted.length < LEAST_POINTS) return [];
  const names = new Set([...Object.keys(now), ...counted.flatMap((counts) => Object.keys(counts))]);
  return [...names].sort().flatMap((what): Finding[] => {
    const usual = median(counted.map((counts) => counts[what] ?? 0));
    const value = now[what] ?? 0;
    return usual >= LEAST_COUNT && isOff(value, usual) ? [{ what, value, usual, unit: "count" }] : [];
  });
}

/** Pure: what of a source is unlike the points before, whose same source `earlier` has, in any order. */
export function findAnomalies(source: SizedSource, earlier: readonly SizedSource[]): Finding[] {
  if (earlier.length < LEAST_POINTS) return [];
  const found: Finding[] = [];
  const usualBytes = median(earlier.map(({ dataBytes }) => dataBytes));
  const { dataBytes, storedBytes } = source;
  if (isOff(dataBytes, usualBytes) && Math.abs(dataBytes - usualBytes) >= LEAST_BYTES)
    found.push({ what: "size", value: dataBytes, usual: usualBytes, unit: "bytes" });
  // A base has what came since the base before it, a point that rests on its log what came since the point before it.
  const alike = earlier.filter(({ mark }) => (mark.log === undefined) === (source.mark.log === undefined));
  const usualShare = median(alike.map(newShare));
  if (alike.length >= LEAST_POINTS && storedBytes >= LEAST_BYTES && newShare(source) - usualShare > MOST_NEW)
    found.push({ what: "share of it that is new", value: newShare(source), usual: usualShare, unit: "%" });
  const compressed = compressedTo(source);
  const usually = alike.flatMap(({ fresh }) =>
    fresh.bytes < LEAST_COMPRESSED_BYTES ? [] : [(100 * fresh.storedBytes) / fresh.bytes],
  );
  const usualLength = median(usually);
  if (compressed !== undefined && usually.length >= LEAST_POINTS && compressed - usualLength > MOST_LONGER)
    found.push({ what: "what is new, compressed to", value: compressed, usual: usualLength, unit: "%" });
  return [...found, ...offCounts(source, earlier)];
}
