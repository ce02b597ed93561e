import { z } from "zod";
import { DIMENSIONS } from "./content.ts";
import { ForeignDataError, type Marker, type Row, type SampleStore } from "./store.ts";

export type QdrantConnection = { url: string; apiKey?: string };

const COLLECTION = "documents";
const POINTS_AT_ONCE = 500;
const SCROLL_LIMIT = 2_000;

const aliases = z.object({ result: z.object({ aliases: z.array(z.object({ alias_name: z.string() })) }) });
const exists = z.object({ result: z.object({ exists: z.boolean() }) });
const scrolled = z.object({
  result: z.object({
    points: z.array(z.object({ payload: z.object({ id: z.string(), seq: z.number() }) })),
    next_page_offset: z.union([z.string(), z.number()]).nullish(),
  }),
});

export function openQdrant(connection: QdrantConnection): SampleStore {
  const base = connection.url.replace(/\/+$/, "");
  async function call(method: string, path: string, body?: unknown): Promise<unknown> {
    const response = await fetch(`${base}${path}`, {
      method,
      headers: {
        "content-type": "application/json",
        ...(connection.apiKey === undefined ? {} : { "api-key": connection.apiKey }),
      },
      signal: AbortSignal.timeout(60_000),
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    if (!response.ok) throw new Error(`${method} ${path}: ${response.status} ${(await response.text()).slice(0, 300)}`);
    return response.json();
  }
  const upsert = (rows: readonly Row[]) =>
    call("PUT", `/collections/${COLLECTION}/points?wait=true`, { points: rows.map(point) });
  async function markerAlias(): Promise<string | undefined> {
    const found = aliases.parse(await call("GET", `/collections/${COLLECTION}/aliases`));
    return found.result.aliases.map(({ alias_name }) => alias_name).find((alias) => markerOf(alias) !== undefined);
  }

  return {
    name: "qdrant",
    async marker() {
      const there = exists.parse(await call("GET", `/collections/${COLLECTION}/exists`));
      if (!there.result.exists) return undefined;
      const alias = await markerAlias();
      if (alias === undefined) throw new ForeignDataError("qdrant", `a collection named ${COLLECTION}`);
      return markerOf(alias);
    },
    async clear() {
      await call("DELETE", `/collections/${COLLECTION}`);
    },
    async begin(marker) {
      await call("PUT", `/collections/${COLLECTION}`, { vectors: { size: DIMENSIONS, distance: "Cosine" } });
      await call("POST", "/collections/aliases", { actions: [create(aliasOf(marker))] });
      for (const [field, schema] of [
        ["id", "keyword"],
        ["seq", "integer"],
      ]) {
        await call("PUT", `/collections/${COLLECTION}/index?wait=true`, { field_name: field, field_schema: schema });
      }
    },
    async load(rows) {
      for (let at = 0; at < rows.length; at += POINTS_AT_ONCE) await upsert(rows.slice(at, at + POINTS_AT_ONCE));
    },
    async finish(marker) {
      const actions = [
        { delete_alias: { alias_name: aliasOf({ ...marker, finished: false }) } },
        create(aliasOf({ ...marker, finished: true })),
      ];
      await call("POST", "/collections/aliases", { actions });
    },
    async apply(write, content) {
      await upsert([{ content, relatesTo: write.relatesTo }]);
      if (write.removes === undefined) return;
      await call("POST", `/collections/${COLLECTION}/points/delete?wait=true`, { points: [write.removes.id] });
    },
    async documents() {
      const documents = new Map<string, number>();
      let offset: string | number | null | undefined;
      do {
        const page = scrolled.parse(
          await call("POST", `/collections/${COLLECTION}/points/scroll`, {
            limit: SCROLL_LIMIT,
            with_payload: ["id", "seq"],
            with_vector: false,
            ...(offset === undefined ? {} : { offset }),
          }),
        );
        for (const { payload } of page.result.points) documents.set(payload.id, payload.seq);
        offset = page.result.next_page_offset;
      } while (offset !== undefined && offset !== null);
      return documents;
    },
    async close() {},
  };
}

function point({ content }: Row) {
  return {
    id: content.id,
    vector: content.embedding,
    payload: { id: content.id, seq: content.seq, title: content.title, kind: content.kind },
  };
}

/** Qdrant has no table for a marker, so an alias of the collection says what was seeded. */
function aliasOf(marker: Marker): string {
  return `sample_${marker.finished ? "seeded" : "seeding"}_${marker.documents}_${marker.seed}`;
}

function markerOf(alias: string): Marker | undefined {
  const match = /^sample_(seeded|seeding)_(\d+)_(.+)$/.exec(alias);
  const [, state, documents, seed] = match ?? [];
  return seed === undefined ? undefined : { seed, documents: Number(documents), finished: state === "seeded" };
}

function create(alias: string) {
  return { create_alias: { collection_name: COLLECTION, alias_name: alias } };
}
