/** A row of the probe, by its number: it was committed at some moment between the two, by this machine's clock. */
export type Probe = { n: number; beganMs: number; ackedMs: number };

/** A store that is written to: numbered rows one after the other, and other work beside them. */
export type WrittenStore = AsyncDisposable & {
  source: string;
  kind: "postgres" | "sqlite";
  /** Every row that was acknowledged, in their order, and of the one under way when it began. */
  probes: () => { acked: readonly Probe[]; underWay: { n: number; beganMs: number } | undefined };
  /** Everything that is committed now lies before this place of its log, as a shipper tells places. */
  place: () => Promise<string>;
  /** kill -9 of the store, and nothing of its data is left. */
  lose: () => Promise<void>;
  /** kill -9 of the store, which is started again on its data; what it acknowledged is there. */
  crash: () => Promise<void>;
  /** Why nothing is written any more. */
  broken: () => string | undefined;
};

/** What a restored store was found to hold; `failed`: what its own checks say against it. */
export type Found = { newest: number; rows: number; balance: number; failed: readonly string[] };

/** Of a restored store, by this machine's clock. */
export type Moments = {
  /** What was acknowledged until then must be there. */
  heldMs: number;
  /** What was begun after this must not. */
  nothingAfterMs: number;
};

/**
 * What is wrong with what was restored: everything that was acknowledged before its moment is there, nothing that was begun
 * after it, no row is left out, and money is conserved. Pure.
 */
export function judgeFound(
  { acked, underWay }: ReturnType<WrittenStore["probes"]>,
  found: Found,
  { heldMs, nothingAfterMs }: Moments,
): string[] {
  const due = acked.findLast(({ ackedMs }) => ackedMs <= heldMs)?.n ?? 0;
  const begun = [...acked, ...(underWay === undefined ? [] : [underWay])];
  const most = begun.findLast(({ beganMs }) => beganMs <= nothingAfterMs)?.n ?? 0;
  return [
    ...(found.newest < due ? [`row ${due} was acknowledged before the moment, and ${found.newest} is the newest`] : []),
    ...(found.newest > most ? [`row ${found.newest} is there, and the newest that was begun by then is ${most}`] : []),
    ...(found.rows === found.newest ? [] : [`${found.rows} rows are there, of ${found.newest}`]),
    ...found.failed.map((each) => `a check of the store failed: ${each}`),
    ...(found.balance === 0 ? [] : [`the balances add up to ${found.balance}`]),
  ];
}
