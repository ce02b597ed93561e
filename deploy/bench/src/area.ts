import type { Figure } from "@stillpoint/repository/bench/figure";

/** What an area is told: how much to measure, and who hears what it is doing. */
export type AreaOptions = { megabytes: number; smallFiles: number; chunks: number; log: (line: string) => void };

/** A part of the product that is measured by itself; all areas answer with figures of one shape. */
export type Area = (options: AreaOptions) => Promise<Figure[]>;
