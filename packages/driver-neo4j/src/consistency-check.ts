import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import type { StoreCheckRow } from "@stillpoint/contracts/query";
import { lastWords } from "@stillpoint/driver/last-words";
import { checkArguments, javaOptions } from "./java-command.ts";
import { confOf, type ServerHome } from "./server-process.ts";

/** `neo4j-admin database check` on a database whose server was stopped well. */
export async function checkConsistency(home: ServerHome): Promise<StoreCheckRow> {
  const reports = join(home.directory, "reports");
  await mkdir(reports, { recursive: true, mode: 0o700 });
  const output = join(home.directory, "check.log");
  await rm(output, { force: true });
  const options = [...javaOptions(home.size), ...home.javaOptions];
  const child = await home.isolation.spawn(
    home.java,
    [...options, ...checkArguments(home.lib, home.database, reports)],
    {
      output,
      env: { NEO4J_HOME: home.directory, NEO4J_CONF: confOf(home) },
    },
  );
  const { code } = await child.exited;
  const name = "consistency";
  if (code === 0) return { name, verdict: "pass", detail: "neo4j-admin database check found nothing" };
  return { name, verdict: "fail", detail: `neo4j-admin database check (${code}): ${await lastWords(output, 2048)}` };
}
