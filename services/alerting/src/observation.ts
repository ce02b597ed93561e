import type { DeadLetter } from "@stillpoint/bus/dead-letters";
import type { Fact } from "@stillpoint/bus/events";
import type { Severity } from "@stillpoint/contracts/alerts";
import type { ErrorBody } from "@stillpoint/contracts/errors";
import type {
  captureAnomaly,
  captureUsual,
  maintenanceFinished,
  planAccepted,
  planRejected,
  pointSealed,
  proofSealed,
  runFailed,
} from "@stillpoint/contracts/events";

/** What an event says about one condition: that it is there, or that it is over. */
export type Observation = {
  /** `run.shop`: a key in KV. */
  key: string;
  plan?: string;
  title: string;
  detail: string;
  hint?: string;
  /** The point that it was seen on. */
  about?: string;
  at: string;
} & ({ type: "trouble"; severity: Severity } | { type: "recovery" });

/** What the gateway names a plan file that is bad as a whole. */
const PLAN_FILE = "plan-file";
const SHOWN_PROBLEMS = 5;

export function observeRunFailed({ body }: Fact<typeof runFailed>): Observation[] {
  const { plan, error, source, at, runId } = body;
  // Somebody wanted it so.
  if (error.code === "CANCELLED") return [];
  const where = source === undefined ? "" : ` (source ${source})`;
  return [
    {
      type: "trouble",
      severity: "critical",
      key: `run.${plan}`,
      plan,
      title: `${plan}: no recovery point was made${where}`,
      ...reasonOf(error),
      hint: error.hint ?? `stillpoint status (run ${runId})`,
      at,
    },
  ];
}

export function observePointSealed({ body: { point } }: Fact<typeof pointSealed>): Observation[] {
  const { plan, pointId, cut, skipped, sealedAt: at } = point;
  const about = { plan, about: pointId, at };
  const made: Observation = {
    ...about,
    type: "recovery",
    key: `run.${plan}`,
    title: `${plan}: recovery points are made again`,
    detail: `point ${pointId}, cut at ${cut.at}`,
  };
  const whole: Observation = point.partial
    ? {
        ...about,
        type: "trouble",
        severity: "warning",
        key: `partial.${plan}`,
        title: `${plan}: a recovery point is partial`,
        detail: skipped.map(({ source, reason }) => `${source}: ${reason}`).join("; "),
        hint: `stillpoint show ${pointId}`,
      }
    : {
        ...about,
        type: "recovery",
        key: `partial.${plan}`,
        title: `${plan}: recovery points are whole again`,
        detail: `point ${pointId} has all ${point.sources.length} sources`,
      };
  return [made, whole, ...observeConsistency(point)];
}

/** A plan that has a hook wants its points fenced; one that only aligns gets what it asks for. */
function observeConsistency(point: Fact<typeof pointSealed>["body"]["point"]): Observation[] {
  const { plan, pointId, cut, sealedAt: at } = point;
  if (cut.mode !== "fence") return [];
  const about = { plan, about: pointId, at, key: `fence.${plan}` };
  if (cut.consistency === "fenced") {
    return [
      { ...about, type: "recovery", title: `${plan}: recovery points are fenced again`, detail: `point ${pointId}` },
    ];
  }
  return [
    {
      ...about,
      type: "trouble",
      severity: "warning",
      title: `${plan}: a recovery point is ${cut.consistency}, not fenced`,
      detail: cut.reasons.join("; ") || "the evidence of the fence is missing",
      hint: `stillpoint show ${pointId}`,
    },
  ];
}

export function observeProofSealed({ body: { proof } }: Fact<typeof proofSealed>): Observation[] {
  const { plan, pointId, verdict, checks, reasons, finishedAt: at } = proof;
  const about = { plan, about: pointId, at, key: `proof.${plan}` };
  if (verdict === "pass") {
    const detail = `point ${pointId} passed ${checks.length} checks`;
    return [{ ...about, type: "recovery", title: `${plan}: recovery points are proven again`, detail }];
  }
  const bad = checks.filter((check) => check.verdict !== "pass").map((check) => `${check.name}: ${check.detail}`);
  return [
    {
      ...about,
      type: "trouble",
      severity: verdict === "fail" ? "critical" : "warning",
      title: verdict === "fail" ? `${plan}: a recovery point FAILED its proof` : `${plan}: a proof is inconclusive`,
      detail: [...reasons, ...bad].join("; ") || `verdict ${verdict}`,
      hint: `stillpoint show ${pointId}`,
    },
  ];
}

export function observePlanRejected({ body }: Fact<typeof planRejected>): Observation[] {
  const { plan, error, at } = body;
  const isFile = plan === PLAN_FILE;
  const title = isFile ? "The plan file was refused" : `${plan}: the new plan was refused`;
  return [
    {
      type: "trouble",
      severity: "warning",
      key: `plan.${plan}`,
      ...(isFile ? {} : { plan }),
      title: `${title}; what was accepted before stays in force`,
      ...reasonOf(error),
      at,
    },
  ];
}

/** Whoever accepts a plan out of a file has read the file. */
export function observePlanAccepted({ body: { plan, revision, at } }: Fact<typeof planAccepted>): Observation[] {
  const detail = `revision ${revision.slice(0, 12)} is in force`;
  return [
    { type: "recovery", key: `plan.${plan}`, plan, title: `${plan}: the plan is accepted`, detail, at },
    {
      type: "recovery",
      key: `plan.${PLAN_FILE}`,
      title: "The plan file is accepted",
      detail: `${plan}: ${detail}`,
      at,
    },
  ];
}

/** Damage is critical, whatever found it; a task that could not be done, or that asks for somebody, is a warning. */
export function observeMaintenanceFinished({ body: { report } }: Fact<typeof maintenanceFinished>): Observation[] {
  const { task, outcome, summary, problems, problemCount, error, finishedAt: at } = report;
  const key = `maintenance.${task}`;
  if (outcome === "sound") return [{ type: "recovery", key, title: `Repository, ${task}: sound`, detail: summary, at }];
  if (outcome === "failed") {
    const reason = error === undefined ? { detail: summary } : reasonOf(error);
    const hint = { hint: "stillpoint status", ...reason };
    return [
      { type: "trouble", severity: "warning", key, title: `Repository, ${task}: could not be done`, ...hint, at },
    ];
  }
  const isDamaged = problems.some(({ severity }) => severity === "damage");
  const shown = problems.slice(0, SHOWN_PROBLEMS).map(({ where, why }) => `${where}: ${why}`);
  if (problemCount > shown.length) shown.push(`and ${problemCount - shown.length} more`);
  return [
    {
      type: "trouble",
      severity: isDamaged ? "critical" : "warning",
      key,
      title: isDamaged ? `Repository, ${task}: DAMAGE was found` : `Repository, ${task}: needs somebody`,
      detail: shown.join("; "),
      hint: problems[0]?.hint ?? "stillpoint status",
      at,
    },
  ];
}

const NUMBERS = {
  bytes: (value: number) => `${(value / 1e6).toFixed(1)} MB`,
  "%": (value: number) => `${value.toFixed(1)} %`,
};
const inWords = (unit: "bytes" | "%" | "count", value: number) =>
  unit === "count" ? String(value) : NUMBERS[unit](value);

/** Nobody looks at a backup that was made as always: what was encrypted or deleted at its source is seen here first. */
export function observeCaptureAnomaly({ body }: Fact<typeof captureAnomaly>): Observation[] {
  const { plan, source, pointId, findings, findingCount, held, at } = body;
  const shown = findings
    .slice(0, SHOWN_PROBLEMS)
    .map(({ what, value, usual, unit }) => `${what}: ${inWords(unit, value)}, usually ${inWords(unit, usual)}`);
  if (findingCount > shown.length) shown.push(`and ${findingCount - shown.length} more`);
  const kept = held === undefined ? "there is no earlier point to hold" : `point ${held.pointId} is held`;
  return [
    {
      type: "trouble",
      severity: "critical",
      key: `anomaly.${plan}.${source}`,
      plan,
      about: pointId,
      title: `${plan}: ${source} is unlike what it was`,
      detail: `${shown.join("; ")}; ${kept}`,
      hint:
        held === undefined
          ? `stillpoint show ${pointId}`
          : `if the change is meant: stillpoint point release ${held.pointId} ${held.holdId}; else restore that point`,
      at,
    },
  ];
}

export function observeCaptureUsual({ body }: Fact<typeof captureUsual>): Observation[] {
  const { plan, source, pointId, why, at } = body;
  const key = `anomaly.${plan}.${source}`;
  return [{ type: "recovery", key, plan, about: pointId, title: `${plan}: ${source} is as usual`, detail: why, at }];
}

/** Nothing resolves a dead letter but a person, so it is told once and is no condition. */
export function observeDeadLetter(letter: DeadLetter): Observation & { type: "trouble" } {
  return {
    type: "trouble",
    severity: "warning",
    key: `dead.${letter.stream}.${letter.durable}`,
    title: `A message could not be handled: ${letter.subject}`,
    ...reasonOf(letter.error),
    hint: letter.error.hint ?? `dead letter ${letter.sequence}`,
    at: letter.at,
  };
}

export function reasonOf(error: ErrorBody): { detail: string; hint?: string } {
  const where = error.where === undefined ? "" : ` (${error.where})`;
  const why = error.why === undefined ? "" : `: ${error.why}`;
  const detail = `${error.what}${where}${why} [${error.code}]`;
  return error.hint === undefined ? { detail } : { detail, hint: error.hint };
}
