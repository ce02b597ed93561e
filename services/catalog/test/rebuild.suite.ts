import type { BackupFigures, Point, Proof } from "@stillpoint/contracts/point";
import { beforeAll, beforeEach, expect, test } from "vitest";
import type { Database } from "../src/database.ts";
import { readRuns } from "../src/read.ts";
import { isComplete, type ListRepository, rebuild } from "../src/rebuild.ts";
import { recordBackup, recordPoint, recordProof } from "../src/record.ts";
import { recordRunFinished, recordRunStarted } from "../src/record-run.ts";
import { dump, dumpOfRepository, empty } from "./databases.ts";
import { backupAt, finishedAt, idAt, pointAt, proofAt, startedAt } from "./history.ts";

type Held = { points: Point[]; proofs: Proof[]; backups: BackupFigures[] };

/** A repository that answers in pages of two, in the order of ids. */
function listing(held: Held, beforePage: (what: string) => Promise<void> = async () => {}): ListRepository {
  const ids = {
    points: (at: number) => held.points[at]?.pointId,
    proofs: (at: number) => held.proofs[at]?.proofId,
    backups: (at: number) => held.backups[at]?.backupId,
  };
  return async ({ what, after }) => {
    await beforePage(what);
    const idAt = ids[what];
    let from = 0;
    while (after !== undefined && (idAt(from) ?? "￿") <= after) from++;
    const page = { points: [], proofs: [], backups: [], [what]: held[what].slice(from, from + 2) };
    const next = held[what].length > from + 2 ? idAt(from + 1) : undefined;
    return next === undefined ? page : { ...page, next };
  };
}

function repositoryOf(numbers: readonly number[]): Held {
  return {
    points: numbers.map((number) => pointAt(number)),
    proofs: numbers.map((number) => proofAt(number, "pass")),
    backups: numbers.flatMap((number) => [backupAt(number, "carts"), backupAt(number, "orders")]),
  };
}

async function project(database: Database, numbers: readonly number[]): Promise<void> {
  for (const number of numbers) {
    await recordRunStarted(database, startedAt(number));
    for (const source of ["orders", "carts"]) await recordBackup(database, backupAt(number, source));
    await recordPoint(database, pointAt(number));
    await recordRunFinished(database, finishedAt(number));
    await recordProof(database, proofAt(number, "pass"));
  }
}

export function rebuildSuite(open: () => Database): void {
  let database: Database;
  beforeAll(async () => {
    database = open();
    await empty(database);
  });
  beforeEach(() => empty(database));

  test("from nothing: the same rows as the events gave, and the runs are said to be gone", async () => {
    await project(database, [1, 2, 3, 4, 5]);
    const before = await dumpOfRepository(database);
    await empty(database);
    const rebuilt = await rebuild(database, listing(repositoryOf([1, 2, 3, 4, 5])));
    expect(rebuilt).toMatchObject({ points: 5, proofs: 5, backups: 10 });
    expect(await dumpOfRepository(database)).toEqual(before);
    expect(await isComplete(database)).toBe(true);
    const { runs, notes } = await readRuns(database, { limit: 10 });
    expect(runs).toEqual([]);
    expect(notes).toEqual([expect.stringMatching(/history of runs is gone up to 5 points/)]);
    expect(rebuilt.notes).toEqual(notes);
  });

  test("over what is there: damaged and invented rows are put right, runs stay", async () => {
    await project(database, [1, 2, 3]);
    const before = await dump(database);
    await database.updateTable("points").set({ plan: "wrong" }).where("point_id", "=", idAt(2, 2)).execute();
    await database.deleteFrom("point_sources").execute();
    await recordBackup(database, backupAt(9, "orders"));
    await recordPoint(database, pointAt(8));
    await recordProof(database, proofAt(8, "fail"));
    const { notes } = await rebuild(database, listing(repositoryOf([1, 2, 3])));
    expect(await dump(database)).toEqual(before);
    expect(notes).toEqual([]);
  });

  test("what is sealed while it goes on stays, though no page held it", async () => {
    const held = repositoryOf([1, 2, 3]);
    const list = listing(held, async (what) => {
      if (what === "proofs") await project(database, [4]);
    });
    await rebuild(database, list);
    const ids = await database.selectFrom("points").select("point_id").orderBy("point_id").execute();
    expect(ids.map(({ point_id }) => point_id)).toEqual([1, 2, 3, 4].map((number) => idAt(number, 2)));
  });

  test("two at once give the same, and one that breaks off leaves what was there", async () => {
    await project(database, [1, 2, 3]);
    const before = await dump(database);
    const list = listing(repositoryOf([1, 2, 3]));
    await Promise.all([rebuild(database, list), rebuild(database, list)]);
    expect(await dump(database)).toEqual(before);
    const breaking = listing(repositoryOf([1, 2, 3]), async (what) => {
      if (what === "points") throw new Error("the vault went away");
    });
    await expect(rebuild(database, breaking)).rejects.toThrow("went away");
    expect(await dump(database)).toEqual(before);
  });
}
