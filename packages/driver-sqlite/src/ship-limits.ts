export type ShipLimits = {
  /** A log that has grown past this is let go in order. */
  walLimitBytes: number;
  /** How often the databases are looked at. So long may a checkpoint of others that wants the whole log wait for us, too. */
  lookEveryMs: number;
  /**
   * Of a page that is written again and again only the newest version is shipped. So little is told at each look, so that each is
   * a moment that can be restored; what is more is collected for so long, or up to so much.
   */
  collectLittleBytes: number;
  collectMs: number;
  collectMostBytes: number;
  /** How often databases are looked for. */
  findEveryMs: number;
  /** A stretch is closed when it is so long, so old with anything in it, or of so many tails. */
  stretchBytes: number;
  stretchMs: number;
  stretchTails: number;
  /**
   * While nothing is committed a position is told all the same, or bases and points that are taken meanwhile lie behind the
   * log: first after so long, then after twice, up to the other.
   */
  quietFirstMs: number;
  quietMostMs: number;
  /** What is more goes as a closed stretch, which is streamed. */
  tailMostBytes: number;
  /** So much is read ahead of a slow sink; then the source keeps it. */
  aheadMostBytes: number;
};

export const SHIP_LIMITS: ShipLimits = {
  walLimitBytes: 64 << 20,
  lookEveryMs: 100,
  collectLittleBytes: 256 << 10,
  collectMs: 1000,
  collectMostBytes: 64 << 20,
  findEveryMs: 2000,
  stretchBytes: 16 << 20,
  stretchMs: 600_000,
  stretchTails: 600,
  quietFirstMs: 5000,
  quietMostMs: 300_000,
  tailMostBytes: 4 << 20,
  aheadMostBytes: 256 << 20,
};
