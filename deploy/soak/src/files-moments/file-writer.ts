import { mkdir, open, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { Step } from "./judge-files.ts";

const ACCOUNTS = 20;
/** Receipts that are kept; of each transfer one is written, and the oldest goes. */
const RECEIPTS = 40;
const LINES = 50;
/** Transfers before it rests, and how long: only a look at a tree at rest finds one moment without a fence. */
const [BURST, REST_MS] = [150, 400];

export type FileWriter = {
  /** Every change so far, the one under way included. */
  steps: readonly Step[];
  done: () => number;
  transfers: () => number;
  /** Resolves between two transfers; gives what lets them go on. */
  hold: () => Promise<() => void>;
  stop: () => Promise<void>;
};

export function balancesIn(tree: ReadonlyMap<string, string>): number[] {
  return [...tree].flatMap(([path, content]) =>
    /^accounts\/\d+$/.test(path) ? [Number(/ (-?\d+)\n$/.exec(content)?.[1])] : [],
  );
}

/**
 * Money moves between two files, one after the other: of even accounts by a new file in the old one's place, of odd ones in
 * place. Each transfer has a line in a journal and a receipt of its own.
 */
export function startFileWriter(root: string): FileWriter {
  const steps: Step[] = [];
  const balances = Array.from({ length: ACCOUNTS }, () => 0);
  let [done, transfers] = [0, 0];
  let isStopped = false;
  let pause: Promise<void> | undefined;
  let quiet: (() => void) | undefined;

  const step = async <Result>(change: Step, work: () => Promise<Result>): Promise<Result> => {
    steps.push(change);
    const result = await work();
    done += 1;
    return result;
  };
  const put = async (path: string, content: string) => {
    await using file = await step([[path, ""]], () => open(join(root, path), "w"));
    await step([[path, content]], () => file.write(content));
  };
  const set = async (account: number, amount: number, n: number) => {
    const balance = (balances[account] ?? 0) + amount;
    balances[account] = balance;
    const [path, content] = [`accounts/${account}`, `${n} ${balance}\n`];
    if (account % 2 === 1) return await put(path, content);
    await put(`${path}.new`, content);
    const moved: Step = [
      [`${path}.new`, undefined],
      [path, content],
    ];
    await step(moved, () => rename(join(root, `${path}.new`), join(root, path)));
  };
  let journal = "";
  const note = async (n: number) => {
    const path = `journal/${Math.floor(n / LINES)}`;
    if (n % LINES === 0) {
      journal = "";
      await put(path, "");
    }
    journal += `${n}\n`;
    await using file = await open(join(root, path), "a");
    await step([[path, journal]], () => file.write(`${n}\n`));
  };
  const transfer = async (n: number) => {
    const amount = 1 + (n % 9);
    await note(n);
    await set((n * 7) % ACCOUNTS, -amount, n);
    await set((n * 7 + 1 + (n % (ACCOUNTS - 1))) % ACCOUNTS, amount, n);
    await put(`receipts/${n}`, `${n} ${amount}\n`);
    const oldest = `receipts/${n - RECEIPTS}`;
    if (n >= RECEIPTS) await step([[oldest, undefined]], () => rm(join(root, oldest)));
  };
  const write = async () => {
    for (const name of ["accounts", "journal", "receipts"]) await mkdir(join(root, name), { recursive: true });
    for (let account = 0; account < ACCOUNTS; account += 1) await put(`accounts/${account}`, "0 0\n");
    while (!isStopped) {
      if (pause !== undefined) {
        quiet?.();
        await pause;
        continue;
      }
      await transfer(transfers);
      transfers += 1;
      await wait(transfers % BURST === 0 ? REST_MS : 1);
    }
  };
  const ended = write();
  ended.catch(() => undefined); // thrown where it is waited for
  return {
    steps,
    done: () => done,
    transfers: () => transfers,
    async hold() {
      const { promise: isQuiet, resolve: isNow } = Promise.withResolvers<void>();
      const { promise, resolve: release } = Promise.withResolvers<void>();
      quiet = isNow;
      pause = promise;
      await Promise.race([isQuiet, ended]);
      return () => {
        pause = undefined;
        release();
      };
    },
    async stop() {
      isStopped = true;
      await ended;
    },
  };
}
