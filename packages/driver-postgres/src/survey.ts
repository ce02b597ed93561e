import type { Description } from "@stillpoint/driver/driver";
import type { Connection, ConnectOptions } from "./connection.ts";
import { connect } from "./connection.ts";
import { checkRequirements, checkVersion, majorOf, notesOf } from "./requirements.ts";
import { runtimeOf } from "./runtime.ts";
import { readDatabase, readSize, type ServerFacts, serverFacts, versionNumber } from "./server-facts.ts";

export type Survey = { facts: ServerFacts; major: number; description: Description; unlogged: string[] };

/** Learns what a source is, and refuses one that cannot be captured. Changes nothing. */
export async function survey(
  connection: Connection,
  options: Omit<ConnectOptions, "what">,
  where: string,
): Promise<Survey> {
  const version = await versionNumber(connection);
  checkVersion(version, where);
  const facts = await serverFacts(connection);
  checkRequirements(facts, where);
  const extensions = new Set<string>();
  const unlogged: string[] = [];
  for (const { name: database } of facts.databases.filter((each) => each.mayConnect)) {
    await using other = await connect({ ...options, database, what: "Cannot read PostgreSQL's catalog" });
    const found = await readDatabase(other);
    for (const extension of found.extensions) extensions.add(extension);
    unlogged.push(...found.unlogged.map((table) => `${database}.${table}`));
  }
  const description: Description = {
    version: `PostgreSQL ${facts.settings.server_version}`,
    runtime: runtimeOf(facts, version, [...extensions].sort()),
    sizeBytes: await readSize(connection),
    hasLog: true,
    base: "full",
    finish: "log",
    notes: notesOf(facts, version, unlogged),
  };
  return { facts, major: majorOf(version), description, unlogged };
}
