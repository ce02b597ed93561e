import { vaultClient } from "@stillpoint/agent/vault-client";
import type { Bucket } from "@stillpoint/bus/bucket";
import type { Bus } from "@stillpoint/bus/bus";
import { rehearseSource } from "@stillpoint/contracts/commands";
import { rehearsalFailed, rehearsalFinished } from "@stillpoint/contracts/events";
import { toInstant } from "@stillpoint/contracts/names";
import type { Plan } from "@stillpoint/contracts/plan";
import type { Point, PointSource, Proof } from "@stillpoint/contracts/point";
import type { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultTicket } from "@stillpoint/contracts/vault";
import type { z } from "zod";
import { answers } from "./answers.ts";
import type { ValidatorConfig } from "./config.ts";
import { judgeProof } from "./judge.ts";
import { type Ended, mergeChecks } from "./merge.ts";
import { type Question, queriesOf, questionsOf } from "./rules.ts";

export type ProvePorts = {
  bus: Bus;
  config: ValidatorConfig;
  agents: Bucket<(typeof BUCKETS)["agents"]>;
  /** Keeps how fast a source's log was replayed. */
  replayed: (plan: string, rehearsal: Pick<Rehearsed, "source" | "replay" | "at">) => Promise<void>;
  now: () => number;
  monotonicMs: () => number;
  /** Fires when this process stops. */
  signal: AbortSignal;
};

type Rehearsed = z.infer<typeof rehearsalFinished.body>;

const VAULT_PATIENCE = { timeoutMs: 10_000, patienceMs: 60_000 };

/**
 * Has every source of a point rehearsed, each by itself, and merges the answers. The commands are removed whatever
 * comes of it. Asked again with the same proof id, it takes over what has been answered already.
 */
export async function provePoint(proofId: string, point: Point, plan: Plan, ports: ProvePorts): Promise<Proof> {
  const startedMs = ports.monotonicMs();
  const startedAt = toInstant(ports.now());
  const questions = questionsOf(
    point.sources.map(({ source }) => source),
    plan.checks,
  );
  const deadline = AbortSignal.any([ports.signal, AbortSignal.timeout(ports.config.STILLPOINT_PROOF_TIMEOUT_MS)]);
  const { vaultUrl, ticket } = await ports.bus.request(
    vaultTicket,
    {},
    { purpose: "results", proofId },
    VAULT_PATIENCE,
  );
  const ended = new Map<string, Ended>();
  let answeredMs = 0;
  const askedMs = ports.monotonicMs();
  try {
    for (const source of point.sources) {
      const absent = await askRehearsal(proofId, point, source, questions, vaultUrl, ports);
      if (absent !== undefined) ended.set(source.source, { state: "absent", reason: absent });
    }
    answeredMs = await collect(proofId, point, ended, deadline, ports);
  } finally {
    await ports.bus.purgeCommands(rehearseSource, { proofId });
  }
  ports.signal.throwIfAborted();
  for (const { source } of point.sources) {
    if (!ended.has(source)) ended.set(source, { state: "absent", reason: "the rehearsal did not end in time" });
  }
  const promised = { consistency: point.cut.consistency, sequence: point.cut.sequence };
  const results = answers(vaultClient(vaultUrl, ticket, ports.signal), proofId);
  const checks = await mergeChecks(questions, ended, results, promised, plan.permitEgress);
  return {
    proofId,
    pointId: point.pointId,
    plan: point.plan,
    ...judgeProof(checks),
    checks,
    rtoMs: Math.max(0, answeredMs - askedMs),
    ms: ports.monotonicMs() - startedMs,
    startedAt,
    finishedAt: toInstant(ports.now()),
  };
}

/** Publishes the rehearsal's command where an agent has the runtime that the backup needs; otherwise says what is missing. */
async function askRehearsal(
  proofId: string,
  point: Point,
  source: PointSource,
  questions: readonly Question[],
  resultsUrl: string,
  ports: ProvePorts,
): Promise<string | undefined> {
  const living = await ports.agents.entries(`${source.kind}.*.*`);
  const fitting = living.filter(({ value }) => value.runtimes.includes(source.runtime.id));
  // Where the source is: its network is near. Elsewhere otherwise, for a rehearsal needs nothing of the source.
  const agent = (fitting.find(({ value }) => value.site === source.site) ?? fitting[0])?.value;
  if (agent === undefined) {
    const seen =
      living.length === 0 ? `no agent-${source.kind} in the role rehearsal lives` : "the agents that live have another";
    return `no agent can run ${source.runtime.id} (${source.runtime.version}): ${seen}`;
  }
  const backups = source.backups;
  const { vaultUrl, ticket } = await ports.bus.request(
    vaultTicket,
    {},
    { purpose: "rehearse", proofId, source: source.source, backups, log: { plan: point.plan, source: source.source } },
    VAULT_PATIENCE,
  );
  await ports.bus.publishCommand(
    rehearseSource,
    { kind: source.kind, site: agent.site, runtime: source.runtime.id, proofId, source: source.source },
    {
      proofId,
      pointId: point.pointId,
      plan: point.plan,
      source: source.source,
      kind: source.kind,
      backups,
      mark: source.mark,
      runtime: source.runtime,
      queries: queriesOf(source.source, questions),
      addresses: [
        ...new Set([...point.sources.flatMap((each) => each.addresses), ...ports.config.STILLPOINT_EGRESS_PROBES]),
      ],
      vaultUrl,
      resultsUrl,
      ticket,
      timeoutMs: ports.config.STILLPOINT_PROOF_TIMEOUT_MS,
    },
    { messageId: `${proofId}:${source.source}` },
  );
  return undefined;
}

/** Waits until every source has ended, or the deadline. Gives when the last restored server first answered. */
async function collect(
  proofId: string,
  point: Point,
  ended: Map<string, Ended>,
  deadline: AbortSignal,
  ports: ProvePorts,
): Promise<number> {
  let answeredMs = 0;
  if (ended.size === point.sources.length) return answeredMs;
  const options = { parameters: { proofId }, signal: deadline };
  for await (const fact of ports.bus.followEvents([rehearsalFinished, rehearsalFailed], options)) {
    if (fact.type === rehearsalFinished.subject) {
      ended.set(fact.body.source, { state: "finished", event: fact.body });
      await ports.replayed(point.plan, fact.body);
      // Durations are the agent's, the moment is ours: no two clocks are compared.
      answeredMs = Math.max(answeredMs, ports.monotonicMs() - (fact.body.ms - fact.body.restoreMs));
    } else if (fact.type === rehearsalFailed.subject) {
      ended.set(fact.body.source, { state: "failed", event: fact.body });
    }
    if (point.sources.every(({ source }) => ended.has(source))) break;
  }
  return answeredMs;
}
