/** What runs inside a sandbox: opens the restored databases and answers queries. Arguments: directory, socket. */
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { serveQueries } from "@stillpoint/driver/query-socket";
import { answerQuery } from "./answer-query.ts";
import { RECORD_PATH, record } from "./record.ts";
import { openRestored } from "./restored-database.ts";

const [directory = "", socket = ""] = process.argv.slice(2);
const { databases } = record.parse(JSON.parse(await readFile(join(directory, RECORD_PATH), "utf8")));
const restored = databases.map((each) => openRestored(directory, each));
await serveQueries(socket, (query) => answerQuery(restored, query));
