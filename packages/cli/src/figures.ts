/** Figures as people read them. */

const BYTE_UNITS = ["B", "KB", "MB", "GB", "TB", "PB"];

/** Decimal units, three significant digits: `1.24 MB`. */
export function bytes(count: number): string {
  let value = count;
  let unit = 0;
  while (value >= 1000 && unit < BYTE_UNITS.length - 1) {
    value /= 1000;
    unit += 1;
  }
  return `${unit === 0 ? value : significant(value)} ${BYTE_UNITS[unit]}`;
}

export function rate(count: number, ms: number): string {
  return ms <= 0 ? "–" : `${bytes(Math.round((count / ms) * 1000))}/s`;
}

/** `420 ms`, `3.2 s`, `4 min 10 s`, `2 h 5 min`. */
export function span(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(1)} s`;
  if (ms < 3_600_000) return `${Math.floor(ms / 60_000)} min ${Math.round((ms % 60_000) / 1000)} s`;
  return `${Math.floor(ms / 3_600_000)} h ${Math.round((ms % 3_600_000) / 60_000)} min`;
}

/** How much smaller it became: `3.1×`. */
export function ratio(read: number, stored: number): string {
  return stored <= 0 ? "–" : `${(read / stored).toFixed(1)}×`;
}

function significant(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** Columns padded to their widest cell; numbers are the caller's to format. `right` names the columns that end flush. */
export function table(
  head: readonly string[],
  rows: readonly (readonly string[])[],
  right: readonly number[] = [],
): string {
  const widths = head.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? "").length)));
  const line = (cells: readonly string[]) =>
    cells
      .map((cell, column) =>
        right.includes(column) ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join("  ")
      .trimEnd();
  return [line(head), line(widths.map((width) => "─".repeat(width))), ...rows.map(line)].join("\n");
}
