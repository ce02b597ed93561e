// The application of an SQLite database, in a process of its own to be killed: numbered rows one after the other. Prints each
// row twice, when it begins and when it is committed: `b <n> <ms>`, `a <n> <ms>`.
import { writeSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { setTimeout as wait } from "node:timers/promises";

const [path = "", every = "100", changed = "10"] = process.argv.slice(2);
const changes = Number(changed);
const ROWS = 2_000;

const database = new DatabaseSync(path, { timeout: 10_000 });
database.exec("pragma journal_mode = wal; pragma synchronous = full");
database.exec(`
  create table if not exists probe (n integer primary key);
  create table if not exists account (id integer primary key, balance integer not null);
  create table if not exists filler (id integer primary key, words text not null)`);
database.exec(`
  insert or ignore into account select value, 0 from (with recursive c(value) as (select 1 union all select value + 1 from c where value < 100) select value from c);
  insert or ignore into filler select value, hex(randomblob(600)) from (with recursive c(value) as (select 1 union all select value + 1 from c where value < ${ROWS}) select value from c)`);

const say = (what: "b" | "a", n: number) => void writeSync(1, `${what} ${n} ${Date.now()}\n`);
const newest = database.prepare("select coalesce(max(n), 0) as n from probe").get();
for (let n = Number(newest?.n) + 1; ; n += 1) {
  say("b", n);
  const least = (n * changes) % ROWS;
  database.exec(`begin immediate;
    insert into probe values (${n});
    update account set balance = balance - ${n % 7} where id = ${1 + (n % 50)};
    update account set balance = balance + ${n % 7} where id = ${51 + (n % 50)};
    update filler set words = hex(randomblob(600)) where id > ${least} and id <= ${least + changes};
    commit`);
  say("a", n);
  await wait(Number(every));
}
