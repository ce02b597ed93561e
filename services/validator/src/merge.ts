import { toStillpointError } from "@stillpoint/contracts/errors";
import type { rehearsalFailed, rehearsalFinished } from "@stillpoint/contracts/events";
import type { Check } from "@stillpoint/contracts/point";
import type { z } from "zod";
import type { Answers } from "./answers.ts";
import { compareSorted } from "./compare.ts";
import { judgeEgress, judgeReference, judgeSequence, judgeStatement, judgeStore, type Promised } from "./judge.ts";
import type { Question } from "./rules.ts";

/** How one source's rehearsal ended. `absent`: none could be asked for, or none answered in time. */
export type Ended =
  | { state: "finished"; event: z.output<typeof rehearsalFinished.body> }
  | { state: "failed"; event: z.output<typeof rehearsalFailed.body> }
  | { state: "absent"; reason: string };

/** Merges what the rehearsals answered into checks; no server is alive any more. */
export async function mergeChecks(
  questions: readonly Question[],
  ended: ReadonlyMap<string, Ended>,
  answers: Answers,
  promised: Promised,
  permitEgress: boolean,
): Promise<Check[]> {
  const checks: Check[] = [];
  for (const [source, end] of ended) checks.push(...restoredChecks(source, end, permitEgress));
  for (const question of questions) {
    const open = unanswered(question, ended);
    if (open !== undefined) {
      // A restore that failed is a failed check of its own; what could not be asked then is open, not failed once more.
      checks.push({ name: nameOf(question), verdict: "inconclusive", detail: open, sources: sourcesOf(question) });
      continue;
    }
    try {
      checks.push(...(await decide(question, answers, promised)));
    } catch (error) {
      const detail = toStillpointError(error, "Cannot read the answers").message;
      checks.push({ name: nameOf(question), verdict: "inconclusive", detail, sources: sourcesOf(question) });
    }
  }
  return checks;
}

function restoredChecks(source: string, end: Ended, permitEgress: boolean): Check[] {
  const name = `${source}: restores and starts`;
  if (end.state === "absent") return [{ name, verdict: "inconclusive", detail: end.reason, sources: [source] }];
  if (end.state === "finished") {
    const { version, recovered, egress } = end.event;
    return [
      { name, verdict: "pass", detail: `${version}; ${recovered}`, sources: [source] },
      judgeEgress(source, egress, permitEgress),
    ];
  }
  const { error } = end.event;
  const detail = `${error.what}${error.where === undefined ? "" : ` (${error.where})`}${error.why === undefined ? "" : `: ${error.why}`}`;
  // A store that is missing here says nothing about the backup; a restore that failed does.
  const verdict = error.code === "STORE_NOT_INSTALLED" || error.retry === "backoff" ? "inconclusive" : "fail";
  return [{ name, verdict, detail, sources: [source] }];
}

async function decide(question: Question, answers: Answers, promised: Promised): Promise<Check[]> {
  switch (question.rule) {
    case "store": {
      const [side] = question.sides;
      return judgeStore(side.source, await answers.store(side.source, side.query.id));
    }
    case "reference": {
      const [from, to] = question.sides;
      const seen = await compareSorted(
        answers.values(from.source, from.query.id),
        answers.values(to.source, to.query.id),
      );
      return [judgeReference(question, seen, promised)];
    }
    case "sequence": {
      const maxima = await Promise.all(question.sides.map(({ source, query }) => answers.max(source, query.id)));
      return [judgeSequence(question, maxima, promised)];
    }
    case "statement": {
      const [side] = question.sides;
      return [judgeStatement(question, await answers.statement(side.source, side.query.id))];
    }
  }
}

function unanswered(question: Question, ended: ReadonlyMap<string, Ended>): string | undefined {
  for (const { source, query } of question.sides) {
    const end = ended.get(source);
    if (end === undefined) return `${source} is not in the point`;
    if (end.state !== "finished") return `${source} was not restored`;
    const failed = end.event.failed.find(({ id }) => id === query.id);
    if (failed !== undefined)
      return `${source}: ${failed.error.what}${failed.error.why === undefined ? "" : `: ${failed.error.why}`}`;
    if (!end.event.answered.includes(query.id)) return `${source} gave no answer`;
  }
  return undefined;
}

function nameOf(question: Question): string {
  return question.rule === "store" ? `${question.name}: own checks` : question.name;
}

function sourcesOf(question: Question): string[] {
  return [...new Set(question.sides.map(({ source }) => source))];
}
