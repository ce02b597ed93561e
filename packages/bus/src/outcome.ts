import type { StillpointError } from "@stillpoint/contracts/errors";

/** How handling one command ended. */
export type Outcome =
  | { type: "done" }
  /** Not now: somebody else holds the lease, say. Does not count as an attempt. */
  | { type: "delayed"; ms: number }
  | { type: "failed"; error: StillpointError }
  /** This process is stopping; another one shall go on at once. */
  | { type: "stopped" };

/** What the server is told. `counts` is false where the attempt is taken back. */
export type Verdict =
  | { act: "ack" }
  | { act: "nak"; delayMs: number; counts: boolean }
  | { act: "bury"; error: StillpointError };

export type RetryRule = {
  /** Attempts after which a command is buried although a later one might succeed. Absent: its owner decides when to give up. */
  maxAttempts?: number | undefined;
  firstDelayMs: number;
  longestDelayMs: number;
};

/** Outcome to protocol, decided here alone. `random` is in [0, 1): a crowd that failed together does not return together. */
export function judge(outcome: Outcome, attempt: number, rule: RetryRule, random: number): Verdict {
  if (outcome.type === "done") return { act: "ack" };
  if (outcome.type === "delayed") return { act: "nak", delayMs: outcome.ms, counts: false };
  if (outcome.type === "stopped") return { act: "nak", delayMs: 0, counts: false };
  const { error } = outcome;
  if (error.retry === "never") return { act: "bury", error };
  if (rule.maxAttempts !== undefined && attempt >= rule.maxAttempts) return { act: "bury", error };
  const grown = Math.min(rule.firstDelayMs * 2 ** Math.min(attempt - 1, 30), rule.longestDelayMs);
  return { act: "nak", delayMs: Math.round(grown * (0.75 + random / 2)), counts: true };
}
