import { StillpointError } from "@stillpoint/contracts/errors";
import { type Plan, type PlanFile, type PlanInput, planFile } from "@stillpoint/contracts/plan";
import { type Document, isMap, isScalar, LineCounter, type Node, parseDocument } from "yaml";
import type { z } from "zod";
import { checkPlan } from "./check-plan.ts";
import { issuesOf, type PlanIssue } from "./plan-issues.ts";

export type AcceptedPlan = { name: string; plan: Plan; definition: PlanInput };
export type AcceptedFile = { plans: AcceptedPlan[]; alerts: PlanFile["alerts"] };

/** A plan file is refused as a whole, and by name where all that is wrong is in one plan. */
export class PlanFileRejected extends StillpointError {
  readonly plan: string;
  constructor(plan: string, parts: { where: string; why: string }) {
    super("PLAN_INVALID", {
      what: "The plan file is not accepted; what was in force stays so",
      ...parts,
      hint: "correct it and save: it is read again by itself",
    });
    this.plan = plan;
  }
}

/** The name under which a file that is bad as a whole is reported. */
export const WHOLE_FILE = "plan-file";
const MAX_BYTES = 1_000_000;
const MAX_SHOWN = 10;

type Place = { text: string; field: string };

/** Reads a plan file's text; throws PlanFileRejected, which names line and field. */
export function readPlanFile(text: string, path: string): AcceptedFile {
  if (text.length > MAX_BYTES) {
    throw new PlanFileRejected(WHOLE_FILE, { where: path, why: `it is longer than ${MAX_BYTES} bytes` });
  }
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const broken = document.errors.map(({ message, pos }) => ({ line: lines.linePos(pos[0]), why: message }));
  if (broken.length > 0) {
    const shown = broken.map(({ line, why }) => `line ${line.line}, column ${line.col}: ${why}`);
    throw new PlanFileRejected(WHOLE_FILE, {
      where: `${path}:${broken[0]?.line.line}`,
      why: shown.slice(0, MAX_SHOWN).join("; "),
    });
  }
  // The schema is what decides about this value.
  const value = toValue(document, path) as z.input<typeof planFile>;
  const parsed = planFile.safeParse(value);
  const issues = parsed.success
    ? Object.entries(parsed.data.plans).flatMap(([name, plan]) =>
        checkPlan(plan).map((issue) => ({ ...issue, path: ["plans", name, ...issue.path] })),
      )
    : issuesOf(parsed.error);
  if (!parsed.success || issues.length > 0) throw rejection(issues, path, (issue) => placeOf(document, lines, issue));
  const plans = Object.entries(parsed.data.plans).map(([name, plan]) => ({
    name,
    plan,
    definition: value.plans[name] as PlanInput, // the parsed file has the same keys
  }));
  return { plans, alerts: parsed.data.alerts };
}

/** Aliases that would unfold to a giant are an error of the library's own. */
function toValue(document: Document.Parsed, path: string): unknown {
  try {
    return document.toJS();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new PlanFileRejected(WHOLE_FILE, { where: path, why });
  }
}

function rejection(issues: readonly PlanIssue[], path: string, place: (issue: PlanIssue) => Place): PlanFileRejected {
  const shown = issues.slice(0, MAX_SHOWN).map((issue) => {
    const { text, field } = place(issue);
    return { text, field, line: `${text}, ${field}: ${issue.why}` };
  });
  const more = issues.length > MAX_SHOWN ? `; and ${issues.length - MAX_SHOWN} more` : "";
  const [first] = shown;
  return new PlanFileRejected(planOf(issues), {
    where: first === undefined ? path : `${path}, ${first.text}, ${first.field}`,
    why: `${shown.map(({ line }) => line).join("; ")}${more}`,
  });
}

function planOf(issues: readonly PlanIssue[]): string {
  const names = new Set(
    issues.map(({ path }) => (path[0] === "plans" && path.length > 1 ? String(path[1]) : WHOLE_FILE)),
  );
  const [name = WHOLE_FILE] = names;
  return names.size === 1 && /^[a-z0-9-]{1,40}$/.test(name) ? name : WHOLE_FILE;
}

/** The line of a field; of one that is missing, the line of what it is missing from. */
function placeOf(document: Document.Parsed, lines: LineCounter, { path }: PlanIssue): Place {
  const field = path.map(String).join(".") || "the whole file";
  let offset = 0;
  let node: unknown = document.contents;
  for (const part of path) {
    if (!isMap(node)) {
      node = childOf(node, part);
    } else {
      const pair = node.items.find(({ key }) => isScalar(key) && String(key.value) === String(part));
      if (pair !== undefined) offset = offsetOf(pair.key) ?? offset;
      node = pair?.value;
    }
    if (node === undefined || node === null) break;
    if (!isMap(node)) offset = offsetOf(node) ?? offset;
  }
  const { line, col } = lines.linePos(offset);
  return { text: `line ${line}, column ${col}`, field };
}

function childOf(node: unknown, part: PropertyKey): unknown {
  const items = typeof node === "object" && node !== null && "items" in node ? node.items : undefined;
  return Array.isArray(items) && typeof part === "number" ? items[part] : undefined;
}

function offsetOf(node: unknown): number | undefined {
  const range = (node as Node | undefined)?.range; // nodes alone have a range; of anything else it is undefined
  return range?.[0];
}
