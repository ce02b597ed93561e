import { type Content, contentsOf, idOf } from "./content.ts";
import { below, randomOf } from "./random.ts";
import type { Marker, Row, SampleStore, StoreName } from "./store.ts";
import { type Connections, closeStores, openStores } from "./stores.ts";

/** Documents at scale 1: about 200 MB in the five stores together. */
const DOCUMENTS = 10_000;
const ROWS_AT_ONCE = 500;

export const DEFAULT_SEED = "stillpoint";

export type SeedOptions = {
  connections: Connections;
  /** `[A-Za-z0-9-]{1,40}`. The same seed makes the same content. */
  seed?: string;
  /** 1 is about 200 MB; a test takes 0.01. */
  scale?: number;
  /** Replaces what another seed or size made. */
  reseed?: boolean;
  say?: (line: string) => void;
  signal?: AbortSignal;
};

export type Seeded = { documents: number; filled: StoreName[]; kept: StoreName[] };

export function documentsAt(scale: number): number {
  return Math.max(10, Math.round(DOCUMENTS * scale));
}

/** Fills the stores. One that holds this very seed and size is left as it is. */
export async function seedSample(options: SeedOptions): Promise<Seeded> {
  const { seed = DEFAULT_SEED, scale = 1, reseed = false, say = () => {}, signal } = options;
  if (!/^[A-Za-z0-9-]{1,40}$/.test(seed)) throw new Error(`the seed ${seed} is not 1–40 of A-Z, a-z, 0-9 and -`);
  const marker: Marker = { seed, documents: documentsAt(scale), finished: true };
  const stores = openStores(options.connections);
  try {
    const decisions = await Promise.all(
      stores.map(async (store) => ({ store, decision: decide(store.name, await store.marker(), marker, reseed) })),
    );
    const empty = decisions.filter(({ decision }) => decision !== "keep").map(({ store }) => store);
    for (const { store, decision } of decisions) {
      if (decision !== "clear") continue;
      say(`${store.name}: removing what an earlier seeding left`);
      await store.clear();
    }
    if (empty.length > 0) await fill(empty, marker, say, signal);
    return {
      documents: marker.documents,
      filled: empty.map(({ name }) => name),
      kept: decisions.filter(({ decision }) => decision === "keep").map(({ store }) => store.name),
    };
  } finally {
    await closeStores(stores);
  }
}

/** What is to be done with a store that shows this marker. Another seed's or size's data goes only when that was asked for. */
export function decide(
  store: StoreName,
  found: Marker | undefined,
  wanted: Marker,
  reseed: boolean,
): "keep" | "clear" | "fill" {
  if (found === undefined) return "fill";
  const isSame = found.seed === wanted.seed && found.documents === wanted.documents;
  if (isSame && found.finished) return "keep";
  if (isSame || reseed) return "clear";
  throw new Error(
    `${store} was seeded with seed ${found.seed} and ${found.documents} documents, not seed ${wanted.seed} and ` +
      `${wanted.documents}; ask for reseeding to replace them, or give an empty place`,
  );
}

async function fill(
  stores: readonly SampleStore[],
  marker: Marker,
  say: (line: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  const content = contentsOf(marker.seed);
  await Promise.all(stores.map((store) => store.begin(marker)));
  for (let from = 1; from <= marker.documents; from += ROWS_AT_ONCE) {
    signal?.throwIfAborted();
    const rows = rowsFrom(marker, content, from);
    await Promise.all(stores.map((store) => store.load(rows)));
    say(`${from + rows.length - 1} of ${marker.documents} documents seeded`);
  }
  await Promise.all(stores.map((store) => store.finish(marker)));
}

function rowsFrom(marker: Marker, content: (seq: number, id: string) => Content, from: number): Row[] {
  const length = Math.min(ROWS_AT_ONCE, marker.documents - from + 1);
  return Array.from({ length }, (_, at) => {
    const seq = from + at;
    return { content: content(seq, idOf(marker.seed, seq)), relatesTo: earlier(marker.seed, seq) };
  });
}

/** Up to three documents that were seeded before this one. */
function earlier(seed: string, seq: number): string[] {
  if (seq === 1) return [];
  const random = randomOf(seed, "relates", seq);
  const others = Array.from({ length: 3 }, () => 1 + below(random, seq - 1));
  return [...new Set(others)].map((other) => idOf(seed, other));
}
