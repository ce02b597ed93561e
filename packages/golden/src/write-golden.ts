import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { directoryStore } from "@stillpoint/object-store/directory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { DEFAULT_CHUNKING } from "@stillpoint/repository/format/documents";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openKeyRing } from "@stillpoint/repository/keys/key-ring";
import { passphraseOpener } from "@stillpoint/repository/keys/passphrase";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { CRAFTED_XATTRS, FULL, INCREMENTAL, type Item, LATER, LOG } from "./crafted-trees.ts";
import type { Expected } from "./expected.ts";
import { addSlots, beginFurtherEpoch } from "./further-keys.ts";
import { namesIn, writeFurtherObjects } from "./further-objects.ts";
import { captureSubject, craftedSource, GOLDEN_AT, goldenId, pointOf, type StoredSource } from "./golden-points.ts";
import { IN_GOLDEN } from "./places.ts";
import { SUBJECTS } from "./subjects.ts";

const PASSPHRASE = "the golden repository of version 1";

const README = `# The golden repository of format version 1

Every later version of the product must restore it byte by byte. It is never changed: SHA256SUMS says what it is.

- repository: it. Its keys lie beside it in the clear, for nothing else is sealed with them.
- expected.json: what each point restores to, read from the captures before they were stored.

Made once by \`node packages/golden/src/make-golden.ts <directory>\`; another run makes another one. Its sources:

`;

/** What is worth to be there in every epoch. */
const isSmall = ({ body }: Item) => (body?.length ?? 0) < 100_000;

/** Writes the golden repository and what it must restore to into `to`, which is empty. `directory` is for what is on the way. */
export async function writeGolden(to: string, directory: string, log: (line: string) => void): Promise<void> {
  const at = join(to, IN_GOLDEN.repository);
  await mkdir(at);
  await writeFile(join(to, IN_GOLDEN.passphrase), `${PASSPHRASE}\n`);
  const passphrase = new Secret(PASSPHRASE);
  const now = () => Date.parse(GOLDEN_AT);
  await using store = directoryStore(at);
  const random = (length: number) => new Uint8Array(crypto.getRandomValues(new Uint8Array(length)));
  await initRepository(store, { passphrase, random, now, chunking: { ...DEFAULT_CHUNKING, packTarget: 1_048_576 } });
  const sealed: { pointId: string; deleted: boolean; sources: StoredSource[] }[] = [];
  const answers: Partial<Expected["answers"]> = {};
  {
    await using repository = await openRepository(store, { passphrase, now });
    const seal = async (n: number, sources: StoredSource[], partial = false) => {
      await repository.sealPoint(pointOf(n, sources, partial));
      sealed.push({ pointId: goldenId(n), deleted: n === 4, sources });
      log(`point ${n} sealed`);
    };
    const captured = { repository, directory };
    const first: StoredSource[] = [];
    const second: StoredSource[] = [];
    for (const start of SUBJECTS) {
      const name = start.name.replace("Subject", "");
      log(`${name}: starting`);
      await using subject = await start(join(directory, name));
      first.push(await captureSubject(captured, 1, subject));
      // Each kind's second full shares most of its pages with the first.
      if (subject.kind === "postgres" || subject.kind === "sqlite")
        second.push(await captureSubject(captured, 2, subject));
      if (subject.query !== undefined) {
        const pointId = goldenId(subject.kind === "neo4j" ? 1 : 2);
        const answer = { pointId, source: subject.name, query: subject.query.text, rows: await subject.query.run() };
        Object.assign(answers, { [subject.kind]: answer });
      }
      log(`${name}: captured`);
    }
    await seal(1, first);
    await seal(2, second, true);
    const chain = await craftedSource(captured, 3, [
      { type: "full", items: FULL },
      { type: "incremental", items: INCREMENTAL },
      { type: "log", items: LOG },
    ]);
    await seal(3, [chain]);
    await seal(4, [await craftedSource(captured, 4, [{ type: "incremental", items: LATER }], chain.backups)]);
    await furtherWords(repository);
  }
  const slots = await addSlots(store, to, passphrase);
  for (const n of [5, 6]) {
    await beginFurtherEpoch(store, passphrase, slots);
    log(`epoch ${n - 3} begun`);
    await using repository = await openRepository(store, { passphrase, now });
    const trees = [{ type: "full" as const, items: n === 5 ? FULL.filter(isSmall) : LOG.slice(2) }];
    const source = await craftedSource({ repository, directory }, n, trees);
    await repository.sealPoint(pointOf(n, [source]));
    sealed.push({ pointId: goldenId(n), deleted: false, sources: [source] });
  }
  const { ring } = await openKeyRing(store, passphraseOpener(passphrase));
  await writeFurtherObjects(store, ring, await orphanPacks({ store, passphrase, directory }));
  await rm(join(at, ".tmp"), { recursive: true, force: true });
  const expected = {
    points: sealed.map(({ pointId, deleted, sources }) => ({
      pointId,
      deleted,
      sources: Object.fromEntries(sources.map(({ source, paths }) => [source.source, { kind: source.kind, paths }])),
    })),
    answers,
    xattrs: {
      "base/attributes": Object.fromEntries(
        Object.entries(CRAFTED_XATTRS).map(([name, value]) => [name, value.toString("base64")]),
      ),
    },
  };
  await writeFile(join(to, IN_GOLDEN.expected), `${JSON.stringify(expected, undefined, 1)}\n`);
  const [whole] = sealed;
  const made = whole?.sources.map(
    ({ source: { source, kind, runtime } }) => `- ${source}: ${kind}, ${runtime.id} ${runtime.version}\n`,
  );
  await writeFile(join(to, "README.md"), `${README}${made?.join("")}`);
}

/** A backup that nothing stands on, whose manifest is gone: its packs are what a collector condemns. */
async function orphanPacks({
  store,
  passphrase,
  directory,
}: {
  store: ObjectStore;
  passphrase: Secret;
  directory: string;
}) {
  const before = new Set(await namesIn(store, "packs/"));
  await using repository = await openRepository(store, { passphrase, now: () => Date.parse(GOLDEN_AT) });
  const { source } = await craftedSource({ repository, directory }, 7, [{ type: "full", items: LOG.slice(2) }]);
  for (const backup of source.backups) await store.delete(`backups/${backup}`);
  return (await namesIn(store, "packs/")).filter((name) => !before.has(name));
}

/** Proofs, holds and changes, each in force and not. */
async function furtherWords(repository: Repository): Promise<void> {
  const order = { by: "alice", reason: "to show it" };
  for (const [n, verdict] of (["pass", "fail"] as const).entries())
    await repository.sealProof({
      proofId: goldenId(500 + n),
      pointId: goldenId(1),
      plan: "shop",
      verdict,
      reasons: verdict === "pass" ? [] : ["a count is not equal"],
      checks: [{ name: "row counts", verdict, detail: "300 of 300", sources: ["orders"] }],
      rtoMs: 12_345,
      ms: 20_000,
      startedAt: GOLDEN_AT,
      finishedAt: GOLDEN_AT,
    });
  await repository.placeHold(goldenId(1), { by: "alice", reason: "an audit" });
  const released = await repository.placeHold(goldenId(2), { by: "alice", reason: "over", until: GOLDEN_AT });
  await repository.releaseHold(goldenId(2), released.holdId, order);
  for (const id of [goldenId(3), goldenId(4)]) await repository.deletePoint(id, order);
  await repository.undeletePoint(goldenId(3), order);
}
