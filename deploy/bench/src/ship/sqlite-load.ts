// An application that writes to an SQLite database, in a process of its own as applications are. Arguments: the database, and
// which load. For each line of its standard input, a number of seconds, it commits one transaction after the other as fast as it
// can for so long, and prints how many a second.
import { createInterface } from "node:readline";
import { DatabaseSync } from "node:sqlite";

const ACCOUNTS = 200_000;
const [path = "", load = ""] = process.argv.slice(2);
const database = new DatabaseSync(path, { timeout: 60_000 });
// As SQLite's own documentation advises for WAL mode. Checkpoints are left to SQLite.
database.exec("PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL");

/** What pgbench does: one account of many, a teller and the branch get a sum, and a row says so. */
function payments(): () => void {
  const fill = (table: string, rows: number) =>
    database.exec(
      `CREATE TABLE ${table} (id INTEGER PRIMARY KEY, balance INTEGER NOT NULL, filler TEXT);
       WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ${rows})
       INSERT INTO ${table} SELECT i, 0, printf('%080d', i) FROM n`,
    );
  fill("branch", 1);
  fill("teller", 10);
  fill("account", ACCOUNTS);
  database.exec("CREATE TABLE history (teller INTEGER, account INTEGER, delta INTEGER, at INTEGER, filler TEXT)");
  const update = (table: string) => database.prepare(`UPDATE ${table} SET balance = balance + ? WHERE id = ?`);
  const [branch, teller, account] = [update("branch"), update("teller"), update("account")];
  const read = database.prepare("SELECT balance FROM account WHERE id = ?");
  const insert = database.prepare("INSERT INTO history VALUES (?, ?, ?, ?, ?)");
  return () => {
    const delta = Math.floor(Math.random() * 10_000) - 5_000;
    const [of, by] = [1 + Math.floor(Math.random() * ACCOUNTS), 1 + Math.floor(Math.random() * 10)];
    account.run(delta, of);
    read.get(of);
    teller.run(delta, by);
    branch.run(delta, 1);
    insert.run(by, of, delta, Date.now(), "x".repeat(20));
  };
}

/** A row of a growing table, and how many there are. */
function rows(): () => void {
  database.exec("CREATE TABLE written (sequence INTEGER PRIMARY KEY, text TEXT); CREATE TABLE total (rows INTEGER)");
  database.exec("INSERT INTO total VALUES (0)");
  const insert = database.prepare("INSERT INTO written (text) VALUES (?)");
  const count = database.prepare("UPDATE total SET rows = rows + 1");
  return () => {
    insert.run("filling ".repeat(20));
    count.run();
  };
}

const transaction = load === "payments" ? payments() : rows();
const [begin, commit] = [database.prepare("BEGIN IMMEDIATE"), database.prepare("COMMIT")];
for await (const line of createInterface({ input: process.stdin })) {
  const began = performance.now();
  const until = began + Number(line) * 1000;
  let transactions = 0;
  for (; performance.now() < until; transactions += 1) {
    begin.run();
    transaction();
    commit.run();
  }
  process.stdout.write(`${(transactions * 1000) / (performance.now() - began)}\n`);
}
database.close();
