import { setTimeout as delay } from "node:timers/promises";
import neo4j, { type Driver } from "neo4j-driver";
import { committedIn } from "../src/server-facts.ts";

const ACCOUNTS = 20;
const EACH = 1000;
const WRITERS = 4;
export const SUM = ACCOUNTS * EACH;

/** One write that was acknowledged: the newest transaction by then, its own or one after it, and the wall clock around it. */
export type Transfer = { worker: number; seq: number; txId: number; askedMs: number; acknowledgedMs: number };

/** Writers that move money between accounts, each write with a number of its own: the sum stays whatever is cut off. */
export async function startBank(driver: Driver) {
  const session = driver.session();
  await session.run("CREATE CONSTRAINT FOR (a:Account) REQUIRE a.id IS UNIQUE");
  await session.run("CREATE INDEX FOR (t:Transfer) ON (t.worker, t.seq)");
  await session.run("UNWIND range(1, $accounts) AS id CREATE (:Account {id: id, balance: $each})", {
    accounts: neo4j.int(ACCOUNTS),
    each: neo4j.int(EACH),
  });
  await session.close();
  const transfers: Transfer[] = [];
  let stopped = false;
  const work = async (worker: number) => {
    await using own = driver.session();
    for (let seq = 1; !stopped; seq += 1) {
      const from = ((seq * 7 + worker) % ACCOUNTS) + 1;
      const to = ((seq * 3 + worker * 5) % ACCOUNTS) + 1;
      const askedMs = Date.now();
      // Two that wait for each other's accounts: the server ends one, which is tried again.
      await own.executeWrite((transaction) =>
        transaction.run(
          "MATCH (a:Account {id: $from}) SET a.balance = a.balance - $amount WITH a " +
            "MATCH (b:Account {id: $to}) SET b.balance = b.balance + $amount WITH a, b " +
            "CREATE (a)-[:FROM]->(t:Transfer {worker: $worker, seq: $seq, text: $text})-[:TO]->(b)",
          {
            from: neo4j.int(from),
            to: neo4j.int(to),
            amount: neo4j.int((seq % 9) + 1),
            worker: neo4j.int(worker),
            seq: neo4j.int(seq),
            text: "x".repeat(200),
          },
        ),
      );
      const txId = committedIn(own.lastBookmarks()[0] ?? "");
      transfers.push({ worker, seq, txId, askedMs, acknowledgedMs: Date.now() });
      await delay(3);
    }
  };
  const workers = Array.from({ length: WRITERS }, (_, worker) => work(worker));
  // What fails is thrown where they are waited for, and not outside of every test.
  for (const each of workers) each.catch(() => undefined);
  return {
    transfers,
    async stop() {
      stopped = true;
      await Promise.all(workers);
    },
    async [Symbol.asyncDispose]() {
      stopped = true;
      await Promise.allSettled(workers);
    },
  };
}
