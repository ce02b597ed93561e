import type { Figure } from "@stillpoint/repository/bench/figure";
import type { Machine } from "./machine.ts";

function number(value: number): string {
  if (value === 0) return "0";
  const digits = Math.abs(value) >= 100 ? 0 : Math.abs(value) >= 10 ? 1 : 2;
  return value.toFixed(digits);
}

function cells(figure: Figure): string[] {
  const { name, value, unit, peer, peerValue, ratio, goal, met } = figure;
  return [
    name,
    `${number(value)} ${unit}`,
    peer === null || peerValue === null ? "" : `${peer}: ${number(peerValue)} ${unit}`,
    ratio === null ? "" : `${number(ratio)} ×`,
    goal === null ? "" : `${met ? "reaches" : "misses"} ${number(goal)}`,
  ];
}

/** Columns as wide as they have to be; the last one ragged. */
export function table(area: string, figures: readonly Figure[]): string {
  const rows = figures.map(cells);
  const widths = [0, 1, 2, 3].map((column) => Math.max(0, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join("  ")
      .trimEnd(),
  );
  return [area, ...lines.map((line) => `  ${line}`)].join("\n");
}

export function machineLine({ cpu, cores, memoryGiB, system, node }: Machine): string {
  return `${cpu}, ${cores} cores, ${memoryGiB} GiB, ${system}, node ${node}`;
}
