/** What was seen at one moment. */
export type Sample = {
  atMs: number;
  objects: number;
  bytes: number;
  tails: number;
  overdue: number;
  /** By process. */
  pss: ReadonlyMap<string, number>;
};

/** So much more at the end than in the middle is growth; a process is given some MiB besides. */
const GROWTH = 1.25;
const OBJECTS = 50;
const BYTES = 8 << 20;
const PSS = 24 << 20;
const FEWEST = 6;

/**
 * What grows without bound, or is not collected: the last third of the samples beside the one before it, for in the first all
 * of it is still being filled. Pure.
 */
export function verdict(samples: readonly Sample[]): string[] {
  if (samples.length < FEWEST) return [`${samples.length} samples say nothing of growth: ${FEWEST} are needed`];
  const third = Math.floor(samples.length / 3);
  const [before, last] = [samples.slice(-2 * third, -third), samples.slice(-third)];
  const grows = (what: string, of: (sample: Sample) => number, slack: number, told: (value: number) => string) => {
    const [was, is] = [Math.max(...before.map(of)), Math.max(...last.map(of))];
    return is > was * GROWTH + slack ? [`${what}: ${told(was)} in the middle, ${told(is)} at the end`] : [];
  };
  const count = (value: number) => String(value);
  const names = [...new Set(samples.flatMap(({ pss }) => [...pss.keys()]))];
  return [
    ...grows("objects", ({ objects }) => objects, OBJECTS, count),
    ...grows("bytes", ({ bytes }) => bytes, BYTES, mebibytes),
    ...grows("tails", ({ tails }) => tails, OBJECTS, count),
    ...names.flatMap((name) => grows(`memory of ${name}`, ({ pss }) => pss.get(name) ?? 0, PSS, mebibytes)),
    ...last
      .filter(({ overdue }) => overdue > 0)
      .slice(-1)
      .map(({ overdue }) => `${overdue} tails are superseded and were not collected`),
  ];
}

export function mebibytes(bytes: number): string {
  return `${(bytes / 2 ** 20).toFixed(0)} MiB`;
}
