import { join } from "node:path";
import { sharedNeo4j } from "@stillpoint/testkit/neo4j";
import { ownDatabase } from "@stillpoint/testkit/postgres";
import { ownQdrantDouble } from "@stillpoint/testkit/qdrant";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { contentsOf, idOf } from "../src/content.ts";
import { seedSample } from "../src/seed.ts";
import { type SampleStore, STORE_NAMES, type StoreName, type Write } from "../src/store.ts";
import { type Connections, closeStores, openStores } from "../src/stores.ts";

const SEED = "stores";
const SCALE = 0.002;

async function connectionOf(name: StoreName, resources: AsyncDisposableStack): Promise<Connections> {
  switch (name) {
    case "postgres":
      return { postgres: { url: resources.use(await ownDatabase()).url } };
    case "neo4j": {
      const { url, user, password } = resources.use(await sharedNeo4j());
      return { neo4j: { url, user, password } };
    }
    case "qdrant": {
      const { url, apiKey } = resources.use(await ownQdrantDouble());
      return { qdrant: { url, apiKey } };
    }
    case "sqlite":
      return { sqlite: { path: join(resources.use(await temporaryDirectory("sample")).path, "sessions.db") } };
    case "files":
      return { files: { directory: join(resources.use(await temporaryDirectory("sample")).path, "files") } };
  }
}

describe.each(STORE_NAMES)("%s", (name) => {
  const resources = new AsyncDisposableStack();
  const content = contentsOf(SEED);
  let connections: Connections;
  let store: SampleStore;
  beforeAll(async () => {
    connections = await connectionOf(name, resources);
    const [opened] = openStores(connections);
    if (opened === undefined) throw new Error("no store");
    store = opened;
    resources.defer(() => closeStores([store]));
  });
  afterAll(() => resources.disposeAsync());

  const apply = (write: Write) => store.apply(write, content(write.seq, write.id));

  test("is filled once, and knows it", async () => {
    expect(await store.marker()).toBeUndefined();
    expect(await seedSample({ connections, seed: SEED, scale: SCALE })).toMatchObject({ filled: [name] });
    expect(await seedSample({ connections, seed: SEED, scale: SCALE })).toMatchObject({ kept: [name] });
    expect(await store.marker()).toEqual({ seed: SEED, documents: 20, finished: true });
    const expected = Array.from({ length: 20 }, (_, at) => [idOf(SEED, at + 1), at + 1] as const);
    expect(await store.documents()).toEqual(new Map(expected));
  });

  test("a new document, a changed one and one in place of another, each twice, leave the number of the last write", async () => {
    const expected = await store.documents();
    const changed = idOf(SEED, 3);
    const gone = { id: idOf(SEED, 5), seq: 5 };
    const writes: Write[] = [
      { seq: 21, id: idOf(SEED, 21), relatesTo: [idOf(SEED, 1), idOf(SEED, 99)] },
      { seq: 22, id: changed, replaces: 3, relatesTo: [gone.id] },
      { seq: 23, id: idOf(SEED, 23), removes: gone, relatesTo: [changed, idOf(SEED, 21)] },
    ];
    for (const write of writes) {
      await apply(write);
      await apply(write);
      expected.set(write.id, write.seq);
    }
    expected.delete(gone.id);
    expect(await store.documents()).toEqual(expected);
  });

  test("is cleared of all that the sample made, and can be filled anew", async () => {
    await store.clear();
    expect(await store.marker()).toBeUndefined();
    await seedSample({ connections, seed: SEED, scale: SCALE });
    expect((await store.documents()).size).toBe(20);
  });
});
