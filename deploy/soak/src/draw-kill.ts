import { below, fraction, pick, type Random } from "@stillpoint/sample/random";
import type { Kill } from "./run-once.ts";

const AGENTS = ["agent-postgres", "agent-neo4j", "agent-qdrant", "agent-sqlite", "agent-files"] as const;
/** A run on five stores: its start, five sessions, four bases (Qdrant has none), five finishes, its point. */
const EVENTS = 16;
const BASES_DONE = 10;
const MOST_MS = 600;

/** One of those that a cut rests on: the orchestrator, the vault, or one of the agents. */
export function drawVictim(random: Random): string {
  const agent = pick(random, AGENTS);
  return (["orchestrator", "vault"] as const)[below(random, 3)] ?? agent;
}

/** Any moment of a run on all stores; every second one about the cut, which is short and matters most. */
export function drawKill(random: Random, service: string): Kill {
  const anywhere = below(random, EVENTS + 1);
  const afterEvents = below(random, 2) === 0 ? BASES_DONE : anywhere;
  return { service, afterEvents, thenMs: Math.round(fraction(random) * MOST_MS) };
}

export function shuffled<Item>(random: Random, items: readonly Item[]): Item[] {
  return items
    .map((item) => ({ item, at: random() }))
    .sort((one, other) => one.at - other.at)
    .map(({ item }) => item);
}
