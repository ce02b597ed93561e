import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { deriveLog, type LogState } from "@stillpoint/repository/log/windows";
import { below, fraction, pick, type Random, randomOf } from "@stillpoint/sample/random";
import neo4j from "neo4j-driver";
import { numbersOf } from "../numbers.ts";
import { runOnce } from "../run-once.ts";
import { type GraphSystem, PLAN, SOURCE, startGraphSystem } from "./graph-system.ts";
import { openBank, startGraphWriters, sumOf } from "./graph-writers.ts";
import { type GraphWrite, judgeMoment, lossMs, type MomentTarget } from "./judge-moment.ts";
import { restoreGraph } from "./restore-graph.ts";

const USAGE = `npm run soak -- neo4j-moments [--restores 20] [--seed N] [--flush 5] [--writers 4] [--pause 5] [--every 15]
  --flush N    seconds between flushes of the log
  --pause N    milliseconds between two writes of a writer
  --every N    seconds between two kills`;

/** What is killed with SIGKILL while its log is shipped, in turn. */
const VICTIMS = ["neo4j", "agents", "vault"] as const;
const ACCOUNTS = 50;
const PATIENCE_MS = 300_000;
/** A lease that runs out, the longest pause between two tries, and a machine that is busy with restores. */
const AGAIN_WITHIN_MS = 20_000;

type Soak = {
  graph: GraphSystem;
  random: Random;
  say: (line: string) => void;
  written: readonly GraphWrite[];
  flushMs: number;
};

/**
 * Restores of one Neo4j to drawn moments and transactions, while its writers go on and servers are killed: all that was committed
 * up to the target is there and nothing after it, the sum of all accounts is what it was, the store's own checker is content.
 * In the end everything is killed at once, and what the newest restore lacks is measured.
 */
export async function soakNeo4jMoments(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const otherwise = { restores: 20, seed: ownSeed, flush: 5, writers: 4, pause: 5, every: 15 };
  const { restores, seed, flush, writers, pause, every } = numbersOf(args, otherwise, USAGE);
  const say = (line: string) => world.out(`${line}\n`);
  say(`neo4j-moments: ${restores} restores, seed ${seed}, ${writers} writers, a flush every ${flush} s`);
  await using graph = await startGraphSystem(world, { flush: `${flush}s` });
  const { server, repository } = graph;
  await using driver = neo4j.driver(server.url, neo4j.auth.basic(server.user, server.password), {
    connectionAcquisitionTimeout: 5_000,
    connectionTimeout: 2_000,
  });
  const load = { writers, accounts: ACCOUNTS, pauseMs: pause };
  await openBank(driver, load);
  const bank = startGraphWriters(driver, load);
  const soak = { graph, random: randomOf("neo4j-moments", seed), say, written: bank.written, flushMs: flush * 1_000 };
  const end = await runOnce(graph, PLAN);
  if (end.how !== "finished") return [`no base was made: ${end.reason}`];
  await until(soak, "the log is shipped on the base", (log) => log.baseServes);
  // No base serves a moment before its own end.
  const fromMs = world.clock.now();

  const stopKilling = new AbortController();
  const killing = killInTurn(soak, every * 1_000, stopKilling.signal);
  killing.catch(() => undefined); // awaited below
  const violations: string[] = [];
  for (let round = 1; round <= restores; round += 1) {
    world.signal.throwIfAborted();
    await wait(flush * 1_000);
    const target = drawTarget(soak, fromMs);
    violations.push(...(await restoreAndJudge(soak, round, target)));
  }
  stopKilling.abort();
  const kills = await killing;

  const againMs = await untilHeld(soak, world.clock.now());
  if (againMs > AGAIN_WITHIN_MS) violations.push(`two flushes after the last kill the log was ${againMs} ms behind`);
  await wait(3 * soak.flushMs * fraction(soak.random));
  const lostMs = world.clock.now();
  const processes = graph.system.processes.filter(({ name }) => name === "agents");
  await Promise.all([server.kill(), ...processes.map((each) => each.kill())]);
  await bank.stop();
  const newest = await restoreGraph(graph, "latest");
  violations.push(...judgeMoment(bank.written, { at: "latest" }, newest, sumOf(load)));
  const loss = lossMs(bank.written, newest.writes, lostMs);
  say(`everything killed at once: ${newest.position} came back, ${loss} ms of acknowledged writes are lost`);
  if (loss > 2 * soak.flushMs) violations.push(`${loss} ms were lost, at a flush every ${soak.flushMs} ms`);

  const { windows, holes } = deriveLog(await repository.sourceLog({ plan: PLAN, source: SOURCE }));
  const unrecorded = holes.filter(({ gap }) => gap === undefined);
  violations.push(...unrecorded.map((hole) => `a hole that nobody recorded: ${JSON.stringify(hole)}`));
  const acknowledged = bank.written.filter((each) => each.acknowledged !== undefined).length;
  say(
    `${acknowledged} writes acknowledged, ${bank.written.length - acknowledged} without an answer, ${kills} kills, ` +
      `${windows.length} windows, ${holes.length} holes, ${unrecorded.length} of them not recorded`,
  );
  return violations;
}

async function restoreAndJudge(soak: Soak, round: number, target: MomentTarget): Promise<string[]> {
  const { graph, say, written } = soak;
  const { clock } = graph.world;
  const startedMs = clock.monotonicMs();
  try {
    const restored = await restoreGraph(graph, wordsOf(target));
    const violations = judgeMoment(written, target, restored, sumOf({ accounts: ACCOUNTS }));
    const seconds = ((clock.monotonicMs() - startedMs) / 1_000).toFixed(1);
    say(`${violations.length === 0 ? "✓" : "✗"} ${round}: ${wordsOf(target)}: ${restored.recovered} (${seconds} s)`);
    for (const each of violations) say(`    ${each}`);
    return violations;
  } catch (error) {
    graph.world.signal.throwIfAborted();
    const { code, message, why } = toStillpointError(error, "The restore failed");
    say(`✗ ${round}: ${wordsOf(target)}: ${code}: ${message} ${why ?? ""}`);
    return [`${wordsOf(target)}: ${code}: ${message}`];
  }
}

function wordsOf(target: MomentTarget): string {
  if (target.at === "latest") return "latest";
  return target.at === "moment" ? new Date(target.ms).toISOString() : `tx:${target.txId}`;
}

/** Of what has been flushed by now: a moment, or a write's transaction. */
function drawTarget({ random, written, flushMs }: Soak, fromMs: number): MomentTarget {
  const untilMs = Date.now() - 2 * flushMs;
  const among = written.flatMap(({ acknowledged }) =>
    acknowledged !== undefined && acknowledged.ms > fromMs && acknowledged.ms < untilMs ? [acknowledged] : [],
  );
  const [first, ...rest] = among;
  if (first === undefined) return { at: "latest" };
  if (below(random, 2) === 0) return { at: "transaction", txId: pick(random, [first, ...rest]).txId };
  return { at: "moment", ms: Math.floor(fromMs + fraction(random) * (untilMs - fromMs)) };
}

/** Each victim in turn; it is up again before the next one goes. How many there were. */
async function killInTurn({ graph, random, say }: Soak, everyMs: number, stop: AbortSignal): Promise<number> {
  let kills = 0;
  for (;;) {
    const pause = everyMs * (0.5 + fraction(random));
    await wait(pause, undefined, { signal: stop }).catch(() => undefined); // told to end: seen below
    if (stop.aborted) return kills;
    const victim = VICTIMS[kills % VICTIMS.length] ?? "neo4j";
    const process = graph.system.processes.find(({ name }) => name === victim) ?? graph.server;
    await process.kill();
    await process.restart();
    kills += 1;
    say(`  ${victim} killed, and up again`);
  }
}

/** Until what is stored is younger than a moment. How long after it that is, beyond the two flushes that are waited for. */
async function untilHeld(soak: Soak, ms: number): Promise<number> {
  await until(soak, "the log is shipped again", ({ windows }) => (windows.at(-1)?.toMs ?? 0) > ms + 2 * soak.flushMs);
  const againMs = soak.graph.world.clock.now() - ms - 2 * soak.flushMs;
  soak.say(`the log is shipped again: two flushes after the last kill it was ${againMs} ms behind`);
  return againMs;
}

async function until({ graph }: Soak, what: string, is: (log: LogState) => boolean): Promise<void> {
  const { world, repository } = graph;
  const giveUpMs = world.clock.monotonicMs() + PATIENCE_MS;
  while (!is(deriveLog(await repository.sourceLog({ plan: PLAN, source: SOURCE })))) {
    if (world.clock.monotonicMs() > giveUpMs)
      throw new StillpointError("TIMEOUT", { what: "Nothing came of it", where: what });
    await wait(500, undefined, { signal: world.signal });
  }
}
