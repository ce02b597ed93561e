import type { Figure } from "@stillpoint/repository/bench/figure";
import type { Peer } from "@stillpoint/repository/bench/peers";

/** What an area is told: how much to measure, and who hears what it is doing. */
export type AreaOptions = {
  megabytes: number;
  smallFiles: number;
  chunks: number;
  /** How often each tool does what is timed; the middle one counts. */
  rounds: number;
  /** How long what is measured by its rate is kept up, each time. */
  seconds: number;
  /** Only these kinds of store, where an area measures several; empty: all. */
  stores: readonly string[];
  /** Whether a store that is shipped has a processor for itself, as on a machine of its own. */
  apart: boolean;
  /** Whether a local S3 server is measured too. */
  s3: boolean;
  /** Default: restic, kopia and borg as far as they are on PATH. */
  peers?: readonly Peer[];
  log: (line: string) => void;
};

/** A part of the product that is measured by itself; all areas answer with figures of one shape. */
export type Area = (options: AreaOptions) => Promise<Figure[]>;
