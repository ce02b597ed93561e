import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { countRows } from "./count-rows.ts";
import type { RestoredDatabase } from "./restored-database.ts";

/** What a database needs of its application, which a sandbox does not have. */
const NEEDS_APPLICATION = /no such (function|collation sequence|module|tokenizer)/i;
const SHOWN = 3;

export function* storeChecks(restored: readonly RestoredDatabase[]): Generator<StoreCheckRow> {
  for (const each of restored) {
    yield checkLog(each);
    yield checked(`integrity ${each.record.name}`, () => integrity(each));
    yield checked(`foreign keys ${each.record.name}`, () => foreignKeys(each));
    yield checked(`counts ${each.record.name}`, () => counts(each));
  }
}

type Outcome = Omit<StoreCheckRow, "name">;

function checked(name: string, check: () => Outcome): StoreCheckRow {
  try {
    return { name, ...check() };
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error);
    return { name, verdict: NEEDS_APPLICATION.test(detail) ? "inconclusive" : "fail", detail };
  }
}

function checkLog({ record, replayed }: RestoredDatabase): StoreCheckRow {
  const verdict = replayed === record.frames ? "pass" : "fail";
  return { name: `log ${record.name}`, verdict, detail: `${replayed} of ${record.frames} frames replayed` };
}

function integrity({ database }: RestoredDatabase): Outcome {
  const rows = database.prepare("PRAGMA integrity_check(10)").all();
  return judged(
    rows.map((row) => String(row.integrity_check)).filter((text) => text !== "ok"),
    "integrity_check says ok",
  );
}

function foreignKeys({ database }: RestoredDatabase): Outcome {
  const rows = database.prepare("PRAGMA foreign_key_check").all();
  return judged(
    rows.map((row) => `row ${row.rowid} of ${row.table} refers to nothing in ${row.parent}`),
    "foreign_key_check finds nothing",
  );
}

function counts({ record, database }: RestoredDatabase): Outcome {
  if (record.counts === undefined) {
    return { verdict: "pass", detail: "not compared: the source was written while it was marked" };
  }
  const found = countRows(database);
  const tables = [...new Set([...Object.keys(found), ...Object.keys(record.counts)])];
  const rows = Object.values(found).reduce((sum, each) => sum + each, 0);
  return judged(
    tables.flatMap((table) => {
      const [is, was] = [found[table], record.counts?.[table]];
      return is === was ? [] : [`${table}: ${is ?? "no table"}, at the mark ${was ?? "no table"}`];
    }),
    `${rows} rows in ${tables.length} tables, as in the ${record.countedIn ?? "source"} at the mark`,
  );
}

function judged(problems: readonly string[], sound: string): Outcome {
  if (problems.length === 0) return { verdict: "pass", detail: sound };
  const more = problems.length > SHOWN ? ` and ${problems.length - SHOWN} more` : "";
  return { verdict: "fail", detail: problems.slice(0, SHOWN).join("; ") + more };
}
