import { setTimeout as wait } from "node:timers/promises";
import { committedIn } from "@stillpoint/driver-neo4j/server-facts";
import neo4j, { type Driver } from "neo4j-driver";
import type { GraphWrite } from "./judge-moment.ts";

export type GraphLoad = { writers: number; accounts: number; pauseMs: number };

const EACH = 1_000;
/** A server that was killed is up again after some seconds. */
const AGAIN_MS = 250;

export function sumOf({ accounts }: Pick<GraphLoad, "accounts">): number {
  return accounts * EACH;
}

const TRANSFER =
  "MATCH (a:Account {id: $from}) SET a.balance = a.balance - $amount WITH a " +
  "MATCH (b:Account {id: $to}) SET b.balance = b.balance + $amount WITH a, b " +
  "CREATE (a)-[:FROM]->(t:Transfer {worker: $worker, seq: $seq, text: $text})-[:TO]->(b) WITH t " +
  // Records are freed and taken again, as they are where an application deletes.
  "OPTIONAL MATCH (old:Scratch {worker: $worker, seq: $seq - 20}) DETACH DELETE old " +
  "WITH DISTINCT t CREATE (t)-[:LEFT]->(:Scratch {worker: $worker, seq: $seq, text: $text})";

export async function openBank(driver: Driver, { accounts }: GraphLoad): Promise<void> {
  await using session = driver.session();
  await session.run("CREATE CONSTRAINT FOR (a:Account) REQUIRE a.id IS UNIQUE");
  await session.run("CREATE INDEX FOR (t:Transfer) ON (t.worker, t.seq)");
  await session.run("CREATE INDEX FOR (s:Scratch) ON (s.worker, s.seq)");
  await session.run("CREATE FULLTEXT INDEX texts FOR (t:Transfer) ON EACH [t.text]");
  await session.run("UNWIND range(1, $accounts) AS id CREATE (:Account {id: id, balance: $each})", {
    accounts: neo4j.int(accounts),
    each: neo4j.int(EACH),
  });
}

/**
 * Writers that move money between accounts: the sum stays, whatever is cut off. Each write has a number of its own. One whose
 * answer was lost with its server is not tried again, for it may have been committed.
 */
export function startGraphWriters(driver: Driver, { writers, accounts, pauseMs }: GraphLoad) {
  const written: GraphWrite[] = [];
  let stopped = false;
  const work = async (worker: number) => {
    for (let seq = 1; !stopped; seq += 1) {
      const text = `${worker}/${seq} ${"x".repeat(200)}`;
      const numbers = {
        from: ((seq * 7 + worker) % accounts) + 1,
        to: ((seq * 3 + worker * 5) % accounts) + 1,
        amount: (seq % 9) + 1,
        worker,
        seq,
      };
      const parameters = Object.fromEntries(Object.entries(numbers).map(([name, value]) => [name, neo4j.int(value)]));
      written.push(await transferred(driver, { ...parameters, text }, { worker, seq }));
      await wait(pauseMs);
    }
  };
  const workers = Array.from({ length: writers }, (_, worker) => work(worker));
  // What fails is thrown where they are waited for.
  for (const each of workers) each.catch(() => undefined);
  return {
    written,
    async stop() {
      stopped = true;
      await Promise.all(workers);
    },
  };
}

/** Two that wait for each other's accounts: the server takes one of them back, which is tried again. */
async function transferred(
  driver: Driver,
  parameters: Record<string, unknown>,
  of: { worker: number; seq: number },
): Promise<GraphWrite> {
  const askedMs = Date.now();
  for (;;) {
    const session = driver.session();
    try {
      await session.run(TRANSFER, parameters);
      const txId = committedIn(session.lastBookmarks()[0] ?? "");
      return { ...of, askedMs, acknowledged: { txId, ms: Date.now() } };
    } catch (error) {
      if (!(error instanceof neo4j.Neo4jError)) throw error;
      if (error.code.startsWith("Neo.TransientError.Transaction.Deadlock")) continue;
      if (error.code.startsWith("Neo.ClientError")) throw error;
      await wait(AGAIN_MS);
      return { ...of, askedMs };
    } finally {
      await session.close().catch(() => undefined); // its server may be gone
    }
  }
}
