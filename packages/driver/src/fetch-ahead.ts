import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { LogRange } from "@stillpoint/contracts/log";
import type { LogPiece } from "./recover.ts";

/** A closed stretch's tree, in a directory of its own that its taker may take apart until the next piece is asked for; or a tail. */
export type FetchedPiece = { range: LogRange } & (
  | { type: "closed"; directory: string }
  | { type: "tail"; bytes: Uint8Array }
);

export type AheadLimits = {
  /** Pieces that are fetched, or wait to be taken. */
  pieces: number;
  /** Of all of them together; one alone may have more. */
  bytes: number;
};

/** A remote store's answer takes its time, and small pieces little else. */
const AHEAD: AheadLimits = { pieces: 16, bytes: 64 * 1024 * 1024 };
/** Of a piece that does not say it: as long as most stretches are when they are closed. */
const UNKNOWN_BYTES = 16 * 1024 * 1024;

/** Where closed stretches lie in the directory that is restored to, until their turn comes. */
const SCRATCH = ".stillpoint-ahead";

/**
 * The pieces of a log in their order, those behind the one that was taken fetched meanwhile. What is not taken yet lies below
 * `directory`, where it is made anew, and away at the end. A piece that cannot be had fails where its turn is.
 */
export async function* fetchedAhead(
  log: readonly LogPiece[],
  directory: string,
  { pieces, bytes }: AheadLimits = AHEAD,
): AsyncGenerator<FetchedPiece> {
  const scratch = join(directory, SCRATCH);
  const waiting: { fetched: Promise<FetchedPiece>; bytes: number }[] = [];
  let begun = 0;
  let under = 0;

  const fetch = async (piece: LogPiece, directory: string): Promise<FetchedPiece> => {
    const { range } = piece;
    if (piece.type === "tail") return { type: "tail", range, bytes: await piece.read() };
    await mkdir(directory, { mode: 0o700 });
    await piece.extract(directory);
    return { type: "closed", range, directory };
  };
  const begin = () => {
    for (let piece = log[begun]; piece !== undefined; piece = log[begun]) {
      const size = piece.bytes ?? UNKNOWN_BYTES;
      if (waiting.length >= pieces || (waiting.length > 0 && under + size > bytes)) return;
      const fetched = fetch(piece, join(scratch, String(begun)));
      fetched.catch(() => undefined); // thrown where its turn is
      waiting.push({ fetched, bytes: size });
      under += size;
      begun += 1;
    }
  };

  await rm(scratch, { recursive: true, force: true });
  await mkdir(scratch, { mode: 0o700 });
  try {
    begin();
    for (let first = waiting[0]; first !== undefined; first = waiting[0]) {
      const piece = await first.fetched;
      yield piece;
      if (piece.type === "closed") await rm(piece.directory, { recursive: true, force: true });
      waiting.shift();
      under -= first.bytes;
      begin();
    }
  } finally {
    await Promise.allSettled(waiting.map(({ fetched }) => fetched));
    await rm(scratch, { recursive: true, force: true });
  }
}
