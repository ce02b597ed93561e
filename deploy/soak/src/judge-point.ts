import type { Point } from "@stillpoint/contracts/point";
import { judge } from "@stillpoint/sample/bounds";
import type { JournalEntry } from "@stillpoint/sample/journal";
import type { Held } from "./read-back.ts";

const SHOWN = 5;

/** What is wrong with a point, by what its restored stores hold: nothing where the cut was true. Pure. */
export function judgePoint(journal: readonly JournalEntry[], point: Point, held: ReadonlyMap<string, Held>): string[] {
  return [...mixedCuts(point), ...outOfBounds(journal, point, held), ...differences(held)];
}

/** Every mark is of the point's own cut. */
export function mixedCuts(point: Point): string[] {
  return point.sources
    .filter(({ mark }) => mark.cutId !== point.cut.cutId)
    .map(({ source, mark }) => `${source} has a mark of cut ${mark.cutId}, the point is of ${point.cut.cutId}`);
}

/**
 * The fence that a point stands for is told by the application's own sequence number at it. Several with the same number
 * are alike (nothing was written between them), so the last one is taken.
 */
export function fenceOf(journal: readonly JournalEntry[], point: Point): string | undefined {
  const fence = journal.findLast((entry) => entry.event === "confirmed" && entry.sequence === point.cut.sequence);
  return fence?.event === "confirmed" ? fence.fenceId : undefined;
}

function outOfBounds(journal: readonly JournalEntry[], point: Point, held: ReadonlyMap<string, Held>): string[] {
  const fenceId = fenceOf(journal, point);
  if (fenceId === undefined) return [`the application knows no fence at ${point.cut.sequence}`];
  return [...held].flatMap(([source, { sequences }]) =>
    Object.entries(judge(journal, fenceId, sequences))
      .filter(([, wrong]) => wrong.length > 0)
      .map(([how, wrong]) => `${source}: ${wrong.length} ${how} (${wrong.slice(0, SHOWN).join(", ")})`),
  );
}

/** Each pair of stores holds the same documents, at the same writes. */
function differences(held: ReadonlyMap<string, Held>): string[] {
  const stores = [...held];
  return stores.flatMap(([one, first], at) =>
    stores
      .slice(at + 1)
      .flatMap(([other, second]) => [
        ...differing(one, first.sequences, other, second.sequences, "writes"),
        ...differing(one, first.ids, other, second.ids, "documents"),
      ]),
  );
}

function differing<Item extends string | number>(
  one: string,
  first: ReadonlySet<Item>,
  other: string,
  second: ReadonlySet<Item>,
  what: string,
): string[] {
  const found = [...onlyIn(one, first, second), ...onlyIn(other, second, first)];
  return found.length === 0 ? [] : [`${one} and ${other} differ in ${what}: ${found.join(", ")}`];
}

function onlyIn<Item>(name: string, items: ReadonlySet<Item>, others: ReadonlySet<Item>): string[] {
  const more = [...items].filter((item) => !others.has(item));
  return more.length === 0 ? [] : [`${more.length} only in ${name} (${more.slice(0, SHOWN).join(", ")})`];
}
