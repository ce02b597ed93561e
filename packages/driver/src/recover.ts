import type { LogPosition, LogRange, LogTarget } from "@stillpoint/contracts/log";

/** A stretch of a log that a restore is given; parts of it may be in the one before, too. */
export type LogPiece = {
  range: LogRange;
  /** About as many are read to have it; absent: nobody said. */
  bytes?: number | undefined;
} & (
  | {
      type: "closed";
      /** Lays its tree, or one file of it, over what is in a directory. NOT_FOUND where it has no such file. */
      extract(directory: string, path?: string): Promise<void>;
    }
  | { type: "tail"; read(): Promise<Uint8Array> }
);

export type RecoverInput = {
  /** Holds a base's tree, and nothing else. */
  directory: string;
  base: LogRange;
  /** From where the base's replay begins, in order and without a hole. */
  log: readonly LogPiece[];
  target: LogTarget;
  /** Of a point: the place that its mark names. */
  marked?: LogPosition;
  /** Of the mark that comes of it. */
  cutId: string;
};
