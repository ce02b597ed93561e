/** What became of tests: how many of each, and the names of those that a person must look at. */
export type Sums = {
  readonly passed: number;
  readonly failed: readonly string[];
  readonly skipped: readonly string[];
};

export const NOTHING: Sums = { passed: 0, failed: [], skipped: [] };

export function total(parts: readonly Sums[]): Sums {
  return {
    passed: parts.reduce((sum, part) => sum + part.passed, 0),
    failed: parts.flatMap((part) => part.failed),
    skipped: parts.flatMap((part) => part.skipped),
  };
}

/** Where nothing may be skipped, a skipped test is one that failed: it proved nothing. */
export function withoutSkips(sums: Sums): Sums {
  return {
    passed: sums.passed,
    failed: [...sums.failed, ...sums.skipped.map((name) => `${name} (skipped)`)],
    skipped: [],
  };
}

/** The last line of a test run, alone: people and programs read it. */
export function sumLine({ passed, failed, skipped }: Sums): string {
  const line = `${passed} passed, ${failed.length} failed`;
  return skipped.length === 0 ? line : `${line}, ${skipped.length} skipped`;
}

/** A run that tested nothing has not passed. */
export function exitCode({ passed, failed }: Sums): 0 | 1 {
  return failed.length > 0 || passed === 0 ? 1 : 0;
}
