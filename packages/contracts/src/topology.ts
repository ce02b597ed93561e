import type { z } from "zod";
import { SUBJECT_ROOT } from "./messages.ts";
import { agentState, alertRules, cancellation, lease, planRevision, runSource, runState } from "./state.ts";

const DAY_MS = 86_400_000;

export type StreamDefinition = {
  name: string;
  subjects: string[];
  retention: "workqueue" | "limits";
  /** Milliseconds; 0 keeps for ever. */
  maxAgeMs: number;
  /** A second message of a subject is refused while the first is queued or under way. */
  onePerSubject: boolean;
  duplicateWindowMs: number;
};

export const STREAMS = {
  CMD: {
    name: "CMD",
    subjects: [`${SUBJECT_ROOT}.cmd.>`],
    retention: "workqueue",
    maxAgeMs: 0,
    onePerSubject: true,
    duplicateWindowMs: 3_600_000,
  },
  SUBMIT: {
    name: "SUBMIT",
    subjects: [`${SUBJECT_ROOT}.submit.>`],
    retention: "workqueue",
    maxAgeMs: 0,
    onePerSubject: false,
    duplicateWindowMs: 120_000,
  },
  EVT: {
    name: "EVT",
    subjects: [`${SUBJECT_ROOT}.evt.>`],
    retention: "limits",
    maxAgeMs: 30 * DAY_MS,
    onePerSubject: false,
    duplicateWindowMs: 3_600_000,
  },
  DEAD: {
    name: "DEAD",
    subjects: [
      `${SUBJECT_ROOT}.dead.>`,
      "$JS.EVENT.ADVISORY.CONSUMER.MAX_DELIVERIES.>",
      "$JS.EVENT.ADVISORY.CONSUMER.MSG_TERMINATED.>",
    ],
    retention: "limits",
    maxAgeMs: 90 * DAY_MS,
    onePerSubject: false,
    duplicateWindowMs: 3_600_000,
  },
} as const satisfies Record<string, StreamDefinition>;

export type BucketDefinition<Value extends z.ZodType = z.ZodType> = {
  name: string;
  value: Value;
  /** A key that is not written again for this long is gone. `lease`: the installation's lease time. Absent: never. */
  ttl?: "lease";
  history: number;
};

function bucket<Value extends z.ZodType>(name: string, value: Value, rest: { ttl?: "lease"; history?: number } = {}) {
  return { name, value, history: rest.history ?? 1, ...(rest.ttl === undefined ? {} : { ttl: rest.ttl }) };
}

export const BUCKETS = {
  /** `run.<runId>`, `capture.<plan>.<source>`, `validate.<pointId>`. */
  leases: bucket("leases", lease, { ttl: "lease" }),
  /** `<runId>`. */
  runs: bucket("runs", runState, { history: 8 }),
  /** `<runId>.<source>`. */
  runSources: bucket("run-sources", runSource),
  /** `<runId>`. */
  cancellations: bucket("cancellations", cancellation),
  plans: bucket("plans", planRevision, { history: 8 }),
  installation: bucket("installation", alertRules),
  agents: bucket("agents", agentState, { ttl: "lease" }),
} as const satisfies Record<string, BucketDefinition>;
