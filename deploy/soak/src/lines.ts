import type { BoundsRound } from "./bounds.ts";
import type { KillRound } from "./kill.ts";
import type { Kill } from "./run-once.ts";

/** One line for each round, and one below it for each thing that is wrong. */
export function boundsLine(round: BoundsRound): string {
  const { point, before, documents, takeMs, readMs } = round;
  const cut = point?.cut;
  const taken =
    cut === undefined
      ? "no point"
      : `fenced ${Math.round(cut.fencedMs ?? 0)} ms at write ${cut.sequence}, ${documents} documents in each store`;
  const again = before.map((reason) => ` after ${reason};`).join("");
  return withViolations(
    `round ${round.round}: ${killed(round.kill)}${again} ${taken} (taken in ${seconds(takeMs)}, read in ${seconds(readMs)})`,
    round.violations,
  );
}

export function killLine({ round, kill, end, points, violations, ms }: KillRound): string {
  const how = end.how === "finished" ? "point sealed" : `${end.how}: ${end.reason}`;
  return withViolations(`round ${round}: ${killed(kill)} ${how}; ${points} points whole (${seconds(ms)})`, violations);
}

function killed(kill: Kill | undefined): string {
  if (kill === undefined) return "undisturbed,";
  return `${kill.service} killed ${kill.thenMs} ms after event ${kill.afterEvents},`;
}

function withViolations(line: string, violations: readonly string[]): string {
  return [`${violations.length === 0 ? "✓" : "✗"} ${line}`, ...violations.map((each) => `    ${each}`)].join("\n");
}

function seconds(ms: number): string {
  return `${(ms / 1_000).toFixed(1)} s`;
}
