import { toStillpointError } from "@stillpoint/contracts/errors";
import type { MaintenanceReport } from "@stillpoint/contracts/maintenance";
import { queryPoints, queryRuns } from "@stillpoint/contracts/queries";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultStatus } from "@stillpoint/contracts/vault";
import { span, table } from "./figures.ts";
import { reachBus } from "./reach.ts";
import type { World } from "./world.ts";

const REQUEST = { timeoutMs: 5_000 };

export async function showStatus(world: World, options: { json?: boolean }): Promise<void> {
  await using bus = await reachBus(world);
  const [plans, agents, maintenance, vault, runs] = await Promise.all([
    bus.bucket(BUCKETS.plans).then((bucket) => bucket.entries()),
    bus.bucket(BUCKETS.agents).then((bucket) => bucket.entries()),
    bus.bucket(BUCKETS.maintenance).then((bucket) => bucket.entries()),
    answered(bus.request(vaultStatus, {}, {}, REQUEST)),
    answered(bus.request(queryRuns, {}, { limit: 5 }, REQUEST)),
  ]);
  const shown = await Promise.all(
    plans.map(async ({ value }) => {
      const points = await answered(bus.request(queryPoints, {}, { plan: value.plan, limit: 1 }, REQUEST));
      const newest = "ok" in points ? points.ok.points[0] : undefined;
      const ageMs = newest === undefined ? undefined : world.clock.now() - Date.parse(newest.point.cut.at);
      return { plan: value.plan, revision: value.revision, rpoMs: value.definition.objectives.rpo, newest, ageMs };
    }),
  );
  if (options.json) {
    world.out(
      `${JSON.stringify({ vault, plans: shown, agents: agents.map(({ value }) => value), maintenance: maintenance.map(({ value }) => value), runs }, undefined, 2)}\n`,
    );
    return;
  }
  world.out(
    "ok" in vault ? `vault: repository ${vault.ok.repositoryId} at ${vault.ok.url}\n\n` : `vault: ${vault.error}\n\n`,
  );
  const planRows = shown.map(({ plan, revision, rpoMs, newest, ageMs }) => [
    plan,
    revision.slice(0, 12),
    newest?.point.pointId ?? "none yet",
    ageMs === undefined ? "–" : `${span(ageMs)} ago${ageMs > rpoMs ? `, beyond its RPO of ${span(rpoMs)}` : ""}`,
    newest?.verdict ?? "–",
  ]);
  world.out(`${table(["plan", "revision", "newest point", "cut", "proof"], planRows)}\n\n`);
  const agentRows = agents.map(({ value }) => [
    value.kind,
    value.site,
    value.roles.join(", "),
    value.runtimes.join(", ") || "none",
    value.since,
  ]);
  world.out(`${table(["agent", "site", "roles", "rehearses", "since"], agentRows)}\n`);
  if (maintenance.length > 0) world.out(`\n${maintenanceTable(maintenance.map(({ value }) => value))}\n`);
  if ("ok" in runs) {
    const rows = runs.ok.runs.map((run) => [run.runId, run.plan, run.state, run.startedAt, run.error?.what ?? ""]);
    world.out(`\n${table(["run", "plan", "state", "started", ""], rows)}\n`);
  } else world.out(`\nruns: ${runs.error}\n`);
}

/** The last of each task, with what it found. */
function maintenanceTable(reports: readonly MaintenanceReport[]): string {
  const rows = reports.map(({ task, outcome, finishedAt, summary }) => [task, outcome, finishedAt, summary]);
  const problems = reports.flatMap(({ task, problems, problemCount }) => {
    const more = problemCount > problems.length ? [`✗ ${task}: and ${problemCount - problems.length} more`] : [];
    return [
      ...problems.map(({ where, why, hint }) => `✗ ${task}: ${where}: ${why}${hint === undefined ? "" : `; ${hint}`}`),
      ...more,
    ];
  });
  return [table(["maintenance", "outcome", "finished", ""], rows), ...problems].join("\n");
}

/** One service that is away must not hide what the others say. */
async function answered<Reply>(reply: Promise<Reply>): Promise<{ ok: Reply } | { error: string }> {
  try {
    return { ok: await reply };
  } catch (error) {
    return { error: toStillpointError(error, "No answer").message };
  }
}
