import type { ConsistencyClass, Verdict } from "@stillpoint/contracts/names";
import type { Check } from "@stillpoint/contracts/point";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import type { Comparison } from "./compare.ts";
import type { Question } from "./rules.ts";

/** What a point promises across its stores: only `fenced` makes a difference between stores a failure. */
export type Promised = { consistency: ConsistencyClass; sequence?: number | undefined };

export function judgeStore(source: string, rows: readonly StoreCheckRow[]): Check[] {
  if (rows.length === 0) {
    return [{ name: `${source}: own checks`, verdict: "inconclusive", detail: "none was answered", sources: [source] }];
  }
  return rows.map((row) => ({
    name: `${source}: ${row.name}`,
    verdict: row.verdict,
    detail: row.detail,
    sources: [source],
  }));
}

export function judgeReference(question: Question, seen: Comparison, promised: Promised): Check {
  const found = `${seen.left} values, ${seen.missing} missing`;
  if (seen.unsorted) return check(question, "inconclusive", `${found}; a store's answer was not sorted`);
  if (seen.left === 0 && seen.right === 0) return check(question, "inconclusive", "there is nothing to compare");
  if (seen.missing === 0) return check(question, "pass", found);
  return check(question, across(promised), `${found}, such as ${seen.samples.join(", ")}${because(promised)}`);
}

export function judgeSequence(question: Question, maxima: readonly (number | null)[], promised: Promised): Check {
  const shown = question.sides.map(({ source }, at) => `${source} ${maxima[at] ?? "none"}`).join(", ");
  const numbers = maxima.filter((max) => max !== null);
  if (numbers.length < maxima.length) return check(question, "fail", `no sequence number in a store: ${shown}`);
  if (new Set(numbers).size > 1) return check(question, across(promised), `${shown}${because(promised)}`);
  const [max = 0] = numbers;
  if (promised.sequence !== undefined && max > promised.sequence) {
    return check(
      question,
      across(promised),
      `${shown}: later than the cut, which was at ${promised.sequence}${because(promised)}`,
    );
  }
  if (promised.sequence !== undefined && max < promised.sequence) {
    return check(
      question,
      across(promised),
      `${shown}: the application was at ${promised.sequence} at the cut${because(promised)}`,
    );
  }
  const cut = promised.sequence === undefined ? "" : ", exactly the application's at the cut";
  return check(question, "pass", `${max} in all ${numbers.length}${cut}`);
}

export function judgeStatement(question: Extract<Question, { rule: "statement" }>, rows: readonly unknown[][]): Check {
  const value = rows[0]?.[0];
  const found = value === undefined ? "no row" : String(value);
  // Drivers give large integers as text: the comparison is by what a person would read.
  return check(
    question,
    value !== undefined && String(value) === String(question.expect) ? "pass" : "fail",
    `${found}, expected ${question.expect}`,
  );
}

export function judgeEgress(
  source: string,
  probes: readonly { address: string; reached: boolean; detail: string }[],
  permitted: boolean,
): Check {
  const open = probes.filter((probe) => probe.reached);
  const name = `${source}: the sandbox reaches nothing`;
  if (probes.length === 0) return { name, verdict: "inconclusive", detail: "the probe did not run", sources: [source] };
  if (open.length === 0)
    return { name, verdict: "pass", detail: `${probes.length} addresses tried`, sources: [source] };
  const detail = `reached ${open.map((probe) => probe.address).join(", ")}`;
  return {
    name,
    verdict: permitted ? "pass" : "inconclusive",
    detail: permitted ? `${detail}; the plan permits it` : detail,
    sources: [source],
  };
}

/** One failed check fails the proof; one that could not be decided leaves it open. */
export function judgeProof(checks: readonly Check[]): { verdict: Verdict; reasons: string[] } {
  const of = (verdict: Verdict) =>
    checks.filter((each) => each.verdict === verdict).map((each) => `${each.name}: ${each.detail}`);
  const failed = of("fail");
  const open = of("inconclusive");
  if (failed.length > 0) return { verdict: "fail", reasons: [...failed, ...open] };
  if (open.length > 0 || checks.length === 0) return { verdict: "inconclusive", reasons: open };
  return { verdict: "pass", reasons: [] };
}

function check(question: Question, verdict: Verdict, detail: string): Check {
  return { name: question.name, verdict, detail, sources: [...new Set(question.sides.map(({ source }) => source))] };
}

function across(promised: Promised): Verdict {
  return promised.consistency === "fenced" ? "fail" : "inconclusive";
}

function because(promised: Promised): string {
  return promised.consistency === "fenced"
    ? ""
    : ` (the point is ${promised.consistency}: its stores are not at one moment)`;
}
