import type { Client } from "pg";

/** Transfers between accounts whose sum stays 0, each with a number of its own, until it is told to stop. */
export type WriteLoad = AsyncDisposable & {
  /** The number of the last transfer that was acknowledged. */
  acknowledged: () => number;
};

export const LOAD_TABLES = `
  create table account (id int primary key, balance bigint not null);
  insert into account select generate_series(1, 100), 0;
  create table transfer (writer int, n int, filler text, primary key (writer, n))`;

export function writeLoad(client: Client, writer: number): WriteLoad {
  let written = 0;
  let writing = true;
  const run = async () => {
    while (writing) {
      const amount = (written % 7) + 1;
      await client.query(`begin;
        update account set balance = balance - ${amount} where id = ${writer * 10 + 1 + (written % 5)};
        update account set balance = balance + ${amount} where id = ${writer * 10 + 6 + (written % 5)};
        insert into transfer select ${writer}, ${written + 1}, string_agg(md5(random()::text), '') from generate_series(1, 100);
        commit`);
      written += 1;
    }
  };
  const running = run();
  running.catch(() => undefined);
  return {
    acknowledged: () => written,
    async [Symbol.asyncDispose]() {
      writing = false;
      await running;
    },
  };
}
