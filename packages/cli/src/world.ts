import type { Clock, RandomBytes } from "@stillpoint/contracts/clock";
import type { Person } from "./ask.ts";

/** What a command is given of the process around it. */
export type World = {
  environment: Readonly<Record<string, string | undefined>>;
  /** Where `up` keeps its data and notes. */
  home: string;
  /** What is fetched, once, for any home. */
  partsDirectory: string;
  clock: Clock;
  random: RandomBytes;
  isTerminal: boolean;
  columns: number;
  out: (text: string) => void;
  /** Progress and words that are not the result. */
  errorLine: (text: string) => void;
  error: (text: string) => void;
  person: Person;
  /** Fires on the first Ctrl-C. */
  signal: AbortSignal;
};
