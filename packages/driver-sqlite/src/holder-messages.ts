import { z } from "zod";

const path = z.string().min(1);
const nothing = z.object({});
const counts = z.record(z.string(), z.number().int().nonnegative());

/** What the process that holds a source's databases can be asked, and what it answers. Databases go by their paths. */
export const operations = {
  open: {
    ask: z.object({ path }),
    answer: z.object({ mode: z.enum(["wal", "rollback"]), pageSize: z.number().int() }),
  },
  /** WAL: begins the read transaction that keeps the log from being restarted. */
  hold: { ask: z.object({ path }), answer: nothing },
  /** Whether that transaction is still there: what was read before the answer was not restarted unseen. */
  held: { ask: z.object({ path }), answer: nothing },
  /**
   * WAL: begins a further read transaction and ends the one before. All up to that one's moment must have been read. False:
   * there was no beginning one just now, and the old one stands.
   */
  roll: { ask: z.object({ path }), answer: z.object({ rolled: z.boolean() }) },
  /** Closes a database, with all that is held of it. */
  close: { ask: z.object({ path }), answer: nothing },
  /**
   * The database as it is now, into a file. The counter is there if it is the copy's for certain. `ifBusy`: what to do
   * where writers with a rollback journal give the copy no chance: copy their half-written state, to be fixed under a
   * lock later, or keep them out.
   */
  copy: {
    ask: z.object({ path, to: path, ifBusy: z.enum(["as-it-stands", "lock"]) }),
    answer: z.object({ counter: z.number().int().optional() }),
  },
  /** Takes tables out of a copy, with their bytes. */
  leaveOut: {
    ask: z.object({ path, tables: z.array(z.string()) }),
    /** Why SQLite does not let them be taken out. */
    answer: z.object({ problem: z.string().optional() }),
  },
  /** What `integrity_check` finds in a copy; nothing if it is sound. */
  check: { ask: z.object({ path }), answer: z.object({ problems: z.array(z.string()) }) },
  /** The change counter, under a shared lock. */
  counter: { ask: z.object({ path }), answer: z.object({ counter: z.number().int() }) },
  /** Rollback journal: makes a copy equal to the database under a shared lock, within a budget. */
  fix: {
    ask: z.object({
      path,
      copy: path,
      counter: z.number().int().optional(),
      budget: z.object({ ms: z.number(), bytes: z.number() }),
    }),
    answer: z.object({
      result: z.enum(["same", "changed", "over", "mode-changed"]),
      counter: z.number().int(),
      why: z.string(),
    }),
  },
  /** WAL: begins a further read transaction, ends the one before, and checkpoints what may be, with writers writing. */
  checkpoint: { ask: z.object({ path }), answer: nothing },
  /** The same, then writers are kept out until `turn`. */
  lock: { ask: z.object({ path }), answer: nothing },
  /**
   * WAL: nobody else checkpoints from now on, or everybody may again. Not kept where this machine cannot, and where somebody
   * is at it just now.
   */
  keep: { ask: z.object({ path, keep: z.boolean() }), answer: z.object({ kept: z.boolean() }) },
  /** Lets writers in again, and nothing of the log go. */
  unlock: { ask: z.object({ path }), answer: nothing },
  /** Lets the checkpoint pass, holds again, lets writers in. */
  turn: { ask: z.object({ path }), answer: z.object({ complete: z.boolean() }) },
  /** Begins read transactions that stay at this moment; later ones replace them. */
  pin: { ask: z.object({ paths: z.array(path) }), answer: nothing },
  /** Ends them. */
  unpin: { ask: z.object({ paths: z.array(path) }), answer: nothing },
  /** Rows by table, where a pin is, or of a copy. */
  count: { ask: z.object({ path }), answer: z.object({ counts }) },
} as const;
export type Operation = keyof typeof operations;
export type Ask<Name extends Operation> = z.input<(typeof operations)[Name]["ask"]>;
export type Answer<Name extends Operation> = z.output<(typeof operations)[Name]["answer"]>;

export const request = z.object({
  id: z.number().int(),
  operation: z.enum(Object.keys(operations) as [Operation, ...Operation[]]),
  ask: z.unknown(),
});
export const reply = z.object({
  id: z.number().int(),
  answer: z.unknown().optional(),
  /** `errcode` is SQLite's. */
  failure: z.object({ message: z.string(), errcode: z.number().optional() }).optional(),
});
