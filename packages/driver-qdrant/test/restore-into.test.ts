import { subscribe, unsubscribe } from "node:diagnostics_channel";
import { type Mark, mark as markSchema } from "@stillpoint/contracts/point";
import { Secret } from "@stillpoint/contracts/secret";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "vitest";
import { connect } from "../src/cluster.ts";
import type { IntoWishes } from "../src/into-plan.ts";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { previewInto, restoreInto } from "../src/restore-into.ts";
import { type Double, finishInto, point, seedCollection, startDouble } from "./double.ts";
import { markRequest } from "./marking.ts";

const resources = new AsyncDisposableStack();
const never = new AbortController().signal;
const STAMP = "20260102T030405678Z";
const NEW = `products-${STAMP}`;
const runtime = { id: "qdrant-double", version: "1.17.1", arch: process.arch, extensions: [], settings: {} };
let double: Double;
beforeAll(async () => {
  double = resources.use(await startDouble());
});
afterAll(async () => await resources.disposeAsync());
beforeEach(async () => {
  await seedCollection(double, "products", 30, { shard_number: 2, strict_mode_config: { enabled: true } });
});
afterEach(async () => {
  await double.call("POST", "/double/faults", { refuse_uploads: 0, version: null });
  await clear(double);
});

async function clear(of: Double) {
  const { collections } = Object(await of.call("GET", "/collections"));
  for (const { name } of collections) await of.call("DELETE", `/collections/${encodeURIComponent(name)}`);
}
const wishes = (more: Partial<IntoWishes> = {}): IntoWishes => ({
  collections: [],
  rename: new Map(),
  stamp: STAMP,
  inPlace: false,
  keepAliases: false,
  ...more,
});
type Captured = { directory: string; mark: Mark };
async function captured(from = double, fenced = true): Promise<Captured> {
  await using capture = await qdrantDriver.open(from.source, from.context(await from.directory("capture")));
  await capture.settle();
  const mark = await capture.mark(markRequest({ fenced }));
  const directory = await from.directory("tree");
  await finishInto(capture.finish, directory);
  return { directory, mark: markSchema.parse(JSON.parse(JSON.stringify(mark))) };
}
const peersOf = (to: Double) => connect(to.source, new Secret(to.server.apiKey));
async function into(of: Captured, more: Partial<IntoWishes> = {}, { to = double, signal = never } = {}) {
  const peers = peersOf(to);
  const { plan, warnings } = await previewInto(peers, { mark: of.mark, runtime }, wishes(more), signal);
  return { plan, warnings, ...(await restoreInto(peers, plan, { ...of, say: () => undefined, signal })) };
}
const names = async (of = double): Promise<string[]> =>
  Object(await of.call("GET", "/collections"))
    .collections.map(({ name }: { name: string }) => name)
    .sort();
const aliases = async (of = double): Promise<Record<string, string>> =>
  Object.fromEntries(
    Object(await of.call("GET", "/aliases")).aliases.map((each: Record<string, string>) => [
      each.alias_name,
      each.collection_name,
    ]),
  );
const count = async (name: string, of = double): Promise<number> =>
  Object(await of.call("POST", `/collections/${encodeURIComponent(name)}/points/count`, { exact: true })).count;
const write = (from: number, to: number) =>
  double.call("PUT", "/collections/products/points?wait=true", {
    points: Array.from({ length: to - from + 1 }, (_, at) => point(from + at)),
  });
const uploads = async (of = double): Promise<{ path: string; query: Record<string, string> }[]> =>
  Array.from(Object(await of.call("GET", "/double/uploads")));

test("a point is loaded under names of its own, verified, and then the alias is switched; asked again nothing changes", async () => {
  const of = await captured();
  await write(31, 50);
  const before = (await uploads()).length;
  const preview = await previewInto(peersOf(double), { mark: of.mark, runtime }, wishes(), never);
  expect(preview.plan).toEqual({
    steps: [{ from: "products", name: NEW, step: "make" }],
    aliases: [{ alias: "products-live", now: "products", to: NEW }],
  });
  expect(await names(), "a preview changes nothing").toEqual(["products"]);

  const done = await into(of);
  expect(done.restored).toEqual({ products: NEW });
  expect(done.checks).toBeGreaterThan(3);
  expect([await count(NEW), await count("products"), await count("products-live")]).toEqual([30, 50, 30]);
  expect(await aliases()).toEqual({ "products-live": NEW });
  const { config } = Object(await double.call("GET", `/collections/${NEW}`));
  expect(config).toMatchObject({ params: { shard_number: 2 }, strict_mode_config: { enabled: true } });
  for (const { query } of (await uploads()).slice(before)) expect(query.priority).toBe("snapshot");

  const uploaded = (await uploads()).length;
  expect((await into(of)).plan.steps).toEqual([{ from: "products", name: NEW, step: "keep" }]);
  expect((await uploads()).length).toBe(uploaded);
});

test("what the server made as a snapshot is loaded too, and the file that was uploaded is gone, also after a failure", async () => {
  await double.call("DELETE", "/collections/products");
  await seedCollection(double, "products", 30);
  const of = await captured(double, false);
  await double.call("POST", "/double/faults", { refuse_uploads: 1 });
  await expect(into(of)).rejects.toMatchObject({ where: NEW });
  expect(await double.call("GET", `/collections/${NEW}/snapshots`)).toEqual([]);
  expect(await aliases()).toEqual({ "products-live": "products", [`stillpoint-unfinished.${NEW}`]: NEW });

  const again = await into(of);
  expect(again.plan.steps).toEqual([{ from: "products", name: NEW, step: "make again" }]);
  expect(await count("products-live")).toBe(30);
  expect(await double.call("GET", `/collections/${NEW}/snapshots`)).toEqual([]);
  const [last] = (await uploads()).slice(-1);
  expect(last).toMatchObject({ path: `/collections/${NEW}/snapshots/upload`, query: { priority: "snapshot" } });
});

test("what is not as it was captured is not switched to", async () => {
  const of = await captured();
  const wrong = { ...of, mark: { ...of.mark, counts: { products: 29 } } };
  await expect(into(wrong)).rejects.toMatchObject({
    code: "VERIFICATION_FAILED",
    why: "count products: 30 points, 29 at the cut: deleted points came back",
    hint: expect.stringContaining(NEW),
  });
  expect(Object.keys(await aliases()).sort()).toEqual(["products-live", `stillpoint-unfinished.${NEW}`]);
  expect((await aliases())["products-live"]).toBe("products");
});

test("in place the old content goes, aliases of all kinds stay, and no copy is left", async () => {
  const of = await captured();
  await write(31, 50);
  await double.call("POST", "/collections/aliases", {
    actions: [{ create_alias: { alias_name: "newer-than-the-point", collection_name: "products" } }],
  });
  const { plan } = await into(of, { inPlace: true });
  expect(plan.steps).toEqual([
    { from: "products", name: NEW, step: "make", replaces: { name: "products", points: 50 } },
  ]);
  expect(await names()).toEqual(["products"]);
  expect(await count("products")).toBe(30);
  expect(await aliases()).toEqual({ "products-live": "products", "newer-than-the-point": "products" });
});

test("in place, broken off after any answer of the server, the aliases always serve a whole collection, and it can be asked again", async () => {
  const of = await captured();
  await write(31, 35);
  const before = await uploads();
  let attempts = 0;
  for (let stopAfter = 1; ; stopAfter += 7) {
    const stop = new AbortController();
    let answers = 0;
    const answered = () => {
      answers += 1;
      if (answers === stopAfter) stop.abort(new Error("killed"));
    };
    subscribe("undici:request:headers", answered);
    const ended = await into(of, { inPlace: true }, { signal: stop.signal }).then(
      () => "done",
      () => "broken off",
    );
    unsubscribe("undici:request:headers", answered);
    attempts += 1;
    expect([30, 35], `after ${stopAfter} answers`).toContain(await count("products-live"));
    if (ended === "done") break;
  }
  expect(attempts).toBeGreaterThan(3);
  expect(await uploads()).not.toEqual(before);
  expect(await names()).toEqual(["products"]);
  expect([await count("products"), await aliases()]).toEqual([30, { "products-live": "products" }]);
});

test("an older server is refused, one newer by more than a minor version is warned of, and nothing is touched", async () => {
  const of = await captured();
  const preview = (version: string, written = "1.17.1") =>
    double
      .call("POST", "/double/faults", { version })
      .then(() =>
        previewInto(peersOf(double), { mark: of.mark, runtime: { ...runtime, version: written } }, wishes(), never),
      );
  await expect(preview("1.16.9")).rejects.toMatchObject({
    code: "SOURCE_UNSUPPORTED",
    why: expect.stringContaining("an older server does not load them"),
  });
  expect((await preview("1.17.0")).warnings).toEqual(["the server is 1.17.0, the snapshots are from 1.17.1"]);
  expect((await preview("1.18.3")).warnings).toEqual([]);
  expect((await preview("1.19.0")).warnings).toEqual([expect.stringContaining("more than one minor version newer")]);
  const real = previewInto(
    peersOf(double),
    { mark: of.mark, runtime: { ...runtime, id: "qdrant-1.17" } },
    wishes(),
    never,
  );
  await expect(real).rejects.toMatchObject({ why: expect.stringContaining("test double") });
  expect(await names()).toEqual(["products"]);
});

test("a cluster takes each shard where it is, and must be named whole", async () => {
  await using cluster = await startDouble({ peers: 3 });
  for (const fenced of [true, false]) {
    const of = await captured(double, fenced);
    await clear(cluster);
    const [url = "", second = ""] = cluster.urls;
    const some = connect({ url, peers: [second] }, new Secret(cluster.server.apiKey));
    await expect(previewInto(some, { mark: of.mark, runtime }, wishes(), never)).rejects.toMatchObject({
      why: "its cluster has 3 peers, and 2 are named: shards are loaded where they are",
      hint: expect.stringContaining("--peer"),
    });
    await into(of, { rename: new Map([["products", "again"]]) }, { to: cluster });
    expect([await names(cluster), await count("products-live", cluster)]).toEqual([["again"], 30]);
  }
});
