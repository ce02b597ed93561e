import { join } from "node:path";
import { addDatabaseFile, type CapturedDatabase, checkCopy } from "./captured-database.ts";
import { sourceChanged } from "./source-error.ts";
import type { DatabaseInput } from "./wal-database.ts";

/** What of it may be copied inside the fence, as the files driver's budget has it. */
const BUDGET_BYTES = 64_000_000;

/**
 * A database with a rollback journal has no log. It is copied before the fence; inside, under a shared lock, the copy is
 * still the database if the change counter is the same, else what changed is copied, as far as the budget goes.
 */
export function openRollbackDatabase({ found, pageSize, holder, context, index }: DatabaseInput): CapturedDatabase {
  const copyPath = join(context.directory, `${index}.db`);
  const { path, name } = found;
  /** The source's change counter at which the copy is the same, where that is known. */
  let counter: number | undefined;
  let state: "none" | "copied" | "late" = "none";
  /** Counts the copy's contents; the base has one of them. */
  let version = 0;
  let checked = 0;
  let inBase: number | undefined;

  const renew = async (ifBusy: "as-it-stands" | "lock") => {
    ({ counter } = await holder.ask("copy", { path, to: copyPath, ifBusy }));
    version += 1;
    state = "copied";
  };
  const check = async () => {
    if (checked === version) return;
    await checkCopy(holder, found, copyPath);
    checked = version;
  };

  return {
    found,
    mode: "rollback",
    async copy() {
      if (state === "none") await renew("as-it-stands");
      // One that was copied under its writers' hands is sound only once it was fixed.
      if (counter !== undefined) await check();
    },
    async addCopy(tree) {
      await addDatabaseFile(tree, { found, path: copyPath, pageSize });
      inBase = version;
    },
    async settle() {
      const isKnown = state === "copied" && counter !== undefined;
      const isCurrent = isKnown && (await holder.ask("counter", { path })).counter === counter;
      if (state === "late" || (isKnown && !isCurrent)) await renew("as-it-stands");
    },
    async mark(budgetMs) {
      const budget = { ms: budgetMs, bytes: BUDGET_BYTES };
      const fixed = await holder.ask("fix", {
        path,
        copy: copyPath,
        budget,
        ...(counter === undefined ? {} : { counter }),
      });
      const mark = { mode: "rollback", name, counter: fixed.counter } as const;
      if (fixed.result === "mode-changed") throw sourceChanged(path, "its journal mode was changed");
      if (fixed.result !== "same") version += 1;
      if (fixed.result === "over") {
        [state, counter] = ["late", undefined];
        return { mark, fuzzy: `${name} is copied after the cut, for ${fixed.why}` };
      }
      [state, counter] = ["copied", fixed.counter];
      return { mark };
    },
    async finish(tree, withCopy) {
      // Whole, but later than the cut: which the mark has said.
      if (state === "late") await renew("lock");
      await check();
      if (withCopy || inBase !== version) await addDatabaseFile(tree, { found, path: copyPath, pageSize });
      return { frames: 0 };
    },
    async countCopy() {
      return (await holder.ask("count", { path: copyPath })).counts;
    },
    async [Symbol.asyncDispose]() {},
  };
}
