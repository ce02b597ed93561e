import type { vaultList } from "@stillpoint/contracts/vault";
import type { z } from "zod";
import type { Database } from "./database.ts";
import { notesOnRuns } from "./read.ts";
import { recordBackup, recordPoint, recordProof } from "./record.ts";

type Asked = z.input<typeof vaultList.body>;
type Page = z.output<typeof vaultList.reply>;
export type ListRepository = (asked: Asked) => Promise<Page>;

export type Rebuilt = { points: number; proofs: number; backups: number; notes: string[] };

const PAGE = 100;

/**
 * Makes points, backups and proofs anew from the repository, beside the events that go on coming: what is written from
 * now on has the new generation, and in the end what has an older one is removed. Cut short at any step it leaves what
 * was there, and can be begun again.
 */
export async function rebuild(database: Database, list: ListRepository): Promise<Rebuilt> {
  const { generation } = await database
    .updateTable("projection")
    .set((row) => ({ generation: row("generation", "+", 1) }))
    .returning("generation")
    .executeTakeFirstOrThrow();
  const counts = { points: 0, proofs: 0, backups: 0 };
  for (const what of ["backups", "points", "proofs"] as const) {
    for await (const page of pagesOf(list, what)) {
      for (const each of page.backups) await recordBackup(database, each);
      for (const each of page.points) await recordPoint(database, each);
      for (const each of page.proofs) await recordProof(database, each);
      counts[what] += page[what].length;
    }
  }
  for (const table of ["points", "proofs", "backups"] as const) {
    await database.deleteFrom(table).where("generation", "<", generation).execute();
  }
  await database.updateTable("projection").set({ is_complete: true }).execute();
  return { ...counts, notes: await notesOnRuns(database, undefined) };
}

export async function isComplete(database: Database): Promise<boolean> {
  const row = await database.selectFrom("projection").select("is_complete").executeTakeFirstOrThrow();
  return row.is_complete;
}

async function* pagesOf(list: ListRepository, what: Asked["what"]): AsyncGenerator<Page> {
  let after: string | undefined;
  do {
    const page = await list({ what, limit: PAGE, ...(after === undefined ? {} : { after }) });
    yield page;
    after = page.next;
  } while (after !== undefined);
}
