import type { Content } from "./content.ts";

export const STORE_NAMES = ["postgres", "neo4j", "qdrant", "sqlite", "files"] as const;
export type StoreName = (typeof STORE_NAMES)[number];

/** One logical write. It touches every store under one id and leaves its sequence number in each. */
export type Write = {
  seq: number;
  id: string;
  /** The sequence number that the id had before. */
  replaces?: number | undefined;
  /** A document that ends with this write. */
  removes?: { id: string; seq: number } | undefined;
  /** Ids that the entity points at, as far as they exist. */
  relatesTo: string[];
};

/** What lies in a store by seeding. */
export type Marker = { seed: string; documents: number; finished: boolean };

export type Row = { content: Content; relatesTo: string[] };

/** One of the stores. What it holds is a map from document id to the sequence number of its last write. */
export interface SampleStore {
  readonly name: StoreName;
  /** Undefined: nothing is there. Throws where something is there that the sample did not make. */
  marker(): Promise<Marker | undefined>;
  /** Removes what the sample made. */
  clear(): Promise<void>;
  /** Makes the schema and an unfinished marker, so that what follows is recognised as the sample's own. */
  begin(marker: Marker): Promise<void>;
  load(rows: readonly Row[]): Promise<void>;
  finish(marker: Marker): Promise<void>;
  /** Idempotent: the same write again changes nothing. */
  apply(write: Write, content: Content): Promise<void>;
  /** Every document's sequence number. */
  documents(): Promise<Map<string, number>>;
  close(): Promise<void>;
}

/** When a document was written, as far as contents are concerned: content follows from the sequence number alone. */
export function writtenAt(seq: number): string {
  return new Date(Date.UTC(2026, 0, 1) + seq * 1_000).toISOString();
}

export class ForeignDataError extends Error {
  constructor(store: StoreName, found: string) {
    super(`${store}: ${found} is there, and the sample did not make it. Give the sample an empty place of its own.`);
    this.name = "ForeignDataError";
  }
}
