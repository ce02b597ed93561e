import type { CheckRule } from "@stillpoint/contracts/plan";
import type { Query } from "@stillpoint/contracts/query";

/** One side of a rule: which source answers which query. */
export type Side = { source: string; query: Query };
/** A rule with the queries whose answers decide it. */
export type Question =
  | { rule: "store"; name: string; sides: [Side] }
  | { rule: "reference"; name: string; sides: [Side, Side] }
  | { rule: "sequence"; name: string; sides: Side[] }
  | { rule: "statement"; name: string; sides: [Side]; expect: string | number | boolean | null };

/** What a proof asks: every source's own checks, then the plan's rules. Pure. */
export function questionsOf(sources: readonly string[], rules: readonly CheckRule[]): Question[] {
  const own = sources.map(
    (source): Question => ({
      rule: "store",
      name: source,
      sides: [{ source, query: { type: "store", id: "store" } }],
    }),
  );
  return [...own, ...rules.map(questionOf)];
}

function questionOf(rule: CheckRule, at: number): Question {
  if ("reference" in rule) {
    const [from = "", to = ""] = rule.reference.split(" -> ");
    const sides: [Side, Side] = [located(from, "values", `rule${at}-from`), located(to, "values", `rule${at}-to`)];
    return { rule: "reference", name: rule.name ?? rule.reference, sides };
  }
  if ("sequence" in rule) {
    const sides = rule.sequence.map((each, side) => located(each, "max", `rule${at}-${side}`));
    return { rule: "sequence", name: rule.name ?? "the highest sequence number is the same everywhere", sides };
  }
  const text = "sql" in rule ? rule.sql : rule.cypher;
  const side: Side = { source: rule.source, query: { type: "statement", id: `rule${at}`, text } };
  return { rule: "statement", name: rule.name ?? text, sides: [side], expect: rule.expect };
}

function located(text: string, type: "values" | "max", id: string): Side {
  const dot = text.indexOf(".");
  return { source: text.slice(0, dot), query: { type, id, of: text.slice(dot + 1) } };
}

/** The queries of one source, its own checks last: they may stop its server. */
export function queriesOf(source: string, questions: readonly Question[]): Query[] {
  const all = questions.flatMap(({ sides }) =>
    sides.filter((side) => side.source === source).map(({ query }) => query),
  );
  return [...all.filter(({ type }) => type !== "store"), ...all.filter(({ type }) => type === "store")];
}
