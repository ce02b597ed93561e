import { chmod, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { fileURLToPath } from "node:url";
import { Secret } from "@stillpoint/contracts/secret";
import { directoryStore } from "@stillpoint/object-store/directory";
import { ageIdentity } from "@stillpoint/repository/keys/age";
import { openKeyRing } from "@stillpoint/repository/keys/key-ring";
import { passphraseOpener } from "@stillpoint/repository/keys/passphrase";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { preparePython, prepareRestore, RESTORE_PY } from "@stillpoint/testkit/restore-py";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Paths, pathsIn } from "../src/expected.ts";
import { KIND_LAYOUTS } from "../src/kind-layouts.ts";
import { GOLDEN, IN_GOLDEN } from "../src/places.ts";
import { sumsOf } from "../src/sums.ts";
import { extractAll } from "../src/tar-file.ts";
import { EXPECTED, type GoldenCopy, goldenCopy, PASSPHRASE } from "./golden-copy.ts";
import { askNeo4j, askPostgres } from "./servers.ts";

const FEATURES = [
  ...["config", "epochs", "keys", "packs", "index", "backups", "tails", "points", "proofs", "holds", "records"],
  ...["changes", "leases", "condemned", "epoch 1", "epoch 2", "epoch 3", "superseded indexes"],
  ...["slot passphrase opener", "slot age opener", "slot age escrow"],
  ...["change delete", "change undelete", "change release", "change retire-slot"],
  ...["backup full", "backup incremental", "backup log"],
  ...["kind postgres", "kind neo4j", "kind qdrant", "kind sqlite", "kind files"],
  ...["chunk type 0", "chunk type 1", "chunk type 13", "item 1", "item 2", "item 3"],
  ...["entry file", "entry directory", "entry symlink", "entry deleted", "entry torn"],
  ...["entries with offset", "entries with xattrs", "entries with uid"],
  ...["hint content", "hint page", "hint tar"],
  ...["blocks of one extent", "blocks of several extents", "extents within a chunk"],
];

const WITH_XATTRS = "base/attributes";

const resources = new AsyncDisposableStack();
let golden: GoldenCopy;
let restore: (...args: string[]) => Promise<{ code: number; stdout: string; stderr: string }>;
let repository: Repository;
let product: string;
let python: string;
beforeAll(async () => {
  golden = resources.use(await goldenCopy());
  const directory = resources.use(await temporaryDirectory("restored"));
  product = join(directory.path, "product");
  python = join(directory.path, "python");
  const store = resources.use(directoryStore(golden.repository));
  repository = resources.use(await openRepository(store, { passphrase: new Secret(PASSPHRASE) }));
  restore = await prepareRestore();
}, 300_000);
afterAll(() => resources.disposeAsync());

/** With the times of the tree, to the microsecond, and without those of what was written when it was laid out. */
function asExpected(restored: Paths, wanted: Paths): Paths {
  return Object.fromEntries(
    Object.entries(restored).map(([path, each]) => {
      const want = wanted[path];
      if (each.type !== "file") return [path, each];
      const { mtimeMs, ...rest } = each;
      if (want?.type !== "file" || want.mtimeMs === undefined || mtimeMs === undefined) return [path, rest];
      return [path, { ...rest, mtimeMs: Math.abs(mtimeMs - want.mtimeMs) < 0.001 ? want.mtimeMs : mtimeMs }];
    }),
  );
}

describe("the golden repository", () => {
  test("is opened by each of its keys, and by the second implementation with each passphrase", async () => {
    await using store = directoryStore(golden.repository);
    const secret = async (name: string) => new Secret((await readFile(join(GOLDEN, name), "utf8")).trim());
    const openers = [
      passphraseOpener(await secret(IN_GOLDEN.passphrase)),
      passphraseOpener(await secret(IN_GOLDEN.secondPassphrase)),
      await ageIdentity(await secret(IN_GOLDEN.identity)),
      await ageIdentity(await secret(IN_GOLDEN.escrowIdentity), { escrow: true }),
    ];
    for (const opener of openers) expect((await openKeyRing(store, opener)).ring.epochs.current).toBe(3);
    const key = await golden.writeKey("second", (await secret(IN_GOLDEN.secondPassphrase)).reveal());
    expect(await restore("list", golden.repository, "--key-file", key)).toMatchObject({ code: 0 });
  });

  test("checks clean", async () => {
    expect((await repository.check({ readData: true })).problems).toEqual([]);
  });

  test("shows every kind of object and every feature of the format", async () => {
    const run = await preparePython();
    const features = fileURLToPath(new URL("./features.py", import.meta.url));
    const { stdout, code } = await run(features, [RESTORE_PY, golden.repository, golden.keyFile]);
    expect(code).toBe(0);
    const found: unknown = JSON.parse(stdout);
    for (const feature of FEATURES)
      expect(found).toHaveProperty(
        [feature],
        expect.toSatisfy((count) => count > 0),
      );
  });

  test("is as it was frozen, byte by byte", async () => {
    const lines = (await readFile(join(GOLDEN, IN_GOLDEN.sums), "utf8")).trim().split("\n");
    expect(await sumsOf(GOLDEN)).toEqual(lines);
  });
});

const settings = async (path: string) =>
  (await readFile(path, "utf8")).split("\n").filter((line) => !line.startsWith("#"));

describe.each(EXPECTED.points)("point $pointId", ({ pointId, sources, deleted }) => {
  test("this release restores it byte by byte", async () => {
    const point = await repository.point(pointId);
    expect(point?.sources.map(({ source }) => source)).toEqual(Object.keys(sources));
    for (const { source, kind, mark, backups } of point?.sources ?? []) {
      const to = join(product, pointId, source);
      const tars = backups.map((backup) => repository.readBackup(backup));
      await extractAll(tars, to, { layout: KIND_LAYOUTS[kind], mark });
      const wanted = sources[source]?.paths ?? {};
      expect(asExpected(await pathsIn(to), wanted)).toEqual(wanted);
    }
  });

  test("the second implementation restores it byte by byte", async () => {
    const to = join(python, pointId);
    const ran = await restore("restore", golden.repository, pointId, "--to", to, "--key-file", golden.keyFile);
    expect(ran).toMatchObject({ code: 0, stdout: expect.stringContaining("restored") });
    expect(ran.stdout.includes("this point is deleted")).toBe(deleted);
    // PostgreSQL's account passes through here.
    await chmod(to, 0o711);
    expect((await readdir(to)).sort()).toEqual(Object.keys(sources).sort());
    for (const [source, { kind, paths }] of Object.entries(sources)) {
      const restored = asExpected(await pathsIn(join(to, source)), paths);
      if (kind === "postgres") {
        // Each says in a comment who wrote it.
        const [ours, theirs] = [product, python].map((each) => join(each, pointId, source, "postgresql.conf"));
        expect(await settings(theirs ?? "")).toEqual(await settings(ours ?? ""));
        expect({ ...restored, "postgresql.conf": undefined }).toEqual({ ...paths, "postgresql.conf": undefined });
      } else expect(restored).toEqual(paths);
    }
  });
});

describe("what the second implementation wrote", () => {
  const restored = ({ pointId, source }: { pointId: string; source: string }) => join(python, pointId, source);

  test("is a directory that PostgreSQL recovers to the mark and opens", async () => {
    const { query, rows, ...of } = EXPECTED.answers.postgres;
    expect(await askPostgres(restored(of), query)).toEqual(rows);
  });

  test("is a home that Neo4j recovers to the mark and opens", async () => {
    const { query, rows, ...of } = EXPECTED.answers.neo4j;
    expect(await askNeo4j(restored(of), query)).toEqual(rows);
  });

  test("has the extended attributes that were captured", async () => {
    const run = await preparePython();
    const program = "import base64, os, sys; print(base64.b64encode(os.getxattr(sys.argv[1], sys.argv[2])).decode())";
    const of = EXPECTED.points.filter(({ sources }) => Object.keys(sources.crafted?.paths ?? {}).includes(WITH_XATTRS));
    expect(of.length).toBeGreaterThan(0);
    for (const { pointId } of of)
      for (const [name, value] of Object.entries(EXPECTED.xattrs[WITH_XATTRS] ?? {})) {
        const ran = await run("-c", [program, join(python, pointId, "crafted", WITH_XATTRS), name]);
        expect(ran).toMatchObject({ code: 0, stdout: `${value}\n` });
      }
  });

  test("is a database that SQLite opens with its log", () => {
    const { query, rows, ...of } = EXPECTED.answers.sqlite;
    using database = new DatabaseSync(join(restored(of), "cart.db"));
    expect(
      database
        .prepare(query)
        .all()
        .map((row) => Object.values(row).map(String)),
    ).toEqual(rows);
  });
});
