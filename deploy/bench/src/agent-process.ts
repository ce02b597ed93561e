// One backup to a vault, or one restore from it, as an agent does it: a tar over HTTP. Prints what it took.
import { readFile } from "node:fs/promises";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { extractTar } from "@stillpoint/driver/extract";
import type { SetFile } from "@stillpoint/repository/bench/mixed-set";
import { tarOf } from "@stillpoint/repository/bench/set-tar";

const [action, vaultUrl = "", ticket = "", backupId = "", root = "", filesJson = ""] = process.argv.slice(2);
const begun = performance.now();
const before = process.cpuUsage();
const client = vaultClient(vaultUrl, ticket, new AbortController().signal);
let bytes = 0;
let storedBytes = 0;
if (action === "backup") {
  const files = JSON.parse(await readFile(filesJson, "utf8")) as SetFile[]; // written by the benchmark itself
  ({ bytes, storedBytes } = await client.putBackup(backupId, "full", tarOf(root, files)));
} else ({ bytes } = await extractTar(client.getBackup(backupId), root));
const { user, system } = process.cpuUsage(before);
process.stdout.write(
  JSON.stringify({ ms: performance.now() - begun, cpuMs: (user + system) / 1000, bytes, storedBytes }),
);
