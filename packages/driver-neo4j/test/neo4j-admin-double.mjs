// A double of Enterprise's neo4j-admin, which cannot be had here: it does with small JSON files what the tool's manual says of
// `database backup` and `database restore`. It holds no data. First argument: a file with each database's last transaction.
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";

const [stateFile, topic, verb, ...rest] = process.argv.slice(2);
const options = new Map(rest.filter((each) => each.startsWith("--")).map((each) => each.slice(2).split(/=(.*)/s)));
const names = rest.filter((each) => !each.startsWith("--"));

const fail = (why) => {
  process.stderr.write(`${why}\n`);
  process.exit(1);
};
const artifactsIn = (path) =>
  readdirSync(path)
    .filter((name) => name.endsWith(".backup"))
    .map((name) => ({ name, ...JSON.parse(readFileSync(join(path, name), "utf8")) }))
    .sort((a, b) => a.highest - b.highest);

if (topic !== "database") fail(`unknown: ${topic}`);
if (verb === "--help") {
  process.stdout.write(`Usage: neo4j-admin database [COMMAND]
Commands:
  help, -h, --help  Display help information about the specified command.
  backup            Perform an online backup from a running Neo4j enterprise server.
  restore           Restore a backed up database.
`);
} else if (verb === "backup" && options.has("inspect-path")) {
  const path = options.get("inspect-path");
  const row = (...cells) => process.stdout.write(`| ${cells.join(" | ")} |\n`);
  row("FILE", "DATABASE", "DATABASE ID", "TIME", "FULL", "COMPRESSED", "LOWEST TX", "HIGHEST TX");
  for (const { name, database, full, lowest, highest } of artifactsIn(path)) {
    row(`file://${path}/${name}`, database, "c8368b24", "2026-11-21T21:00:00", full, false, lowest, highest);
  }
} else if (verb === "backup") {
  const { ends, prunedTo = 0, refuses } = JSON.parse(readFileSync(stateFile, "utf8"));
  if (refuses !== undefined) fail(refuses);
  const path = options.get("to-path");
  for (const database of names) {
    if (!(database in ends)) fail(`Database '${database}' does not exist`);
    const before = artifactsIn(path).findLast((each) => each.database === database);
    const full = options.get("type") === "FULL";
    if (!full && before === undefined) fail("A differential backup needs a full one");
    const lowest = full ? 1 : Math.max(before.highest, prunedTo) + 1;
    const highest = ends[database];
    if (!full && highest < lowest) continue;
    const name = `${database}-2026-11-21T21-00-${String(highest).padStart(5, "0")}.backup`;
    writeFileSync(join(path, name), JSON.stringify({ database, full, lowest, highest, from: options.get("from") }));
  }
} else if (verb === "restore") {
  const [database] = names;
  const last = options.get("from-path");
  const chain = artifactsIn(dirname(last)).filter((each) => each.database === database);
  const { highest } = JSON.parse(readFileSync(last, "utf8"));
  const full = chain.find((each) => each.full);
  const until = Number(options.get("restore-until"));
  if (full === undefined || full.highest >= until) fail("No backup chain to restore");
  const home = process.env.NEO4J_HOME;
  mkdirSync(join(home, "data"), { recursive: true });
  // Up to, but not including, what was asked for.
  writeFileSync(join(home, "data", database), String(Math.min(highest, until - 1)));
} else fail(`unknown: ${verb}`);
