/** What the server's debug.log says of the recovery of a database. */
export type RecoveryReport = { firstTxId: number; lastTxId: number; applied: number };

const COMPLETED =
  /\[([^/\]]+)\/[0-9a-f]+\] Recovery in '\w+' mode completed\. Observed transactions range \[first:(\d+), last:(\d+)\]: (\d+) transactions applied/;

/** The last report of the database; undefined if it needed no recovery. */
export function recoveryReport(debugLog: string, database: string): RecoveryReport | undefined {
  let report: RecoveryReport | undefined;
  for (const line of debugLog.split("\n")) {
    const [, of, first, last, applied] = COMPLETED.exec(line) ?? [];
    if (of === database) report = { firstTxId: Number(first), lastTxId: Number(last), applied: Number(applied) };
  }
  return report;
}

/** A page tree was copied while the server made a checkpoint of it: it and its like can be made anew. */
export function isTornTree(text: string): boolean {
  return text.includes("TreeInconsistencyException") || text.includes("GSPP READ failure");
}

/** The innermost reason that the log gives, where it ends with an exception. */
export function rootCause(log: string): string | undefined {
  return log
    .match(/^Caused by: (.+)$/gm)
    ?.at(-1)
    ?.slice("Caused by: ".length);
}
