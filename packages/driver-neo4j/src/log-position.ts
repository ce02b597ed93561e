/** The end of a commit in a database's transaction log: everything up to it is there, nothing after it. */
export type LogPosition = {
  /** The N of `neostore.transaction.db.N`. */
  logVersion: number;
  /** Bytes from the beginning of that file. */
  offset: number;
  /** The transaction that ends here. */
  txId: number;
};

const LOG_NAME = /^neostore\.transaction\.db\.(\d+)$/;
const CHECKPOINT_NAME = /^checkpoint\.(\d+)$/;

export function logName(version: number): string {
  return `neostore.transaction.db.${version}`;
}

export function logVersionOf(fileName: string): number | undefined {
  return numberIn(LOG_NAME, fileName);
}

export function checkpointVersionOf(fileName: string): number | undefined {
  return numberIn(CHECKPOINT_NAME, fileName);
}

function numberIn(pattern: RegExp, fileName: string): number | undefined {
  const digits = pattern.exec(fileName)?.[1];
  return digits === undefined ? undefined : Number(digits);
}
