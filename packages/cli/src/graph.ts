import { StillpointError } from "@stillpoint/contracts/errors";
import { type Neo4jSource, neo4jSource } from "@stillpoint/contracts/source";
import type { Command } from "commander";
import { z } from "zod";
import { bytes } from "./figures.ts";
import { secretReader } from "./secret-reader.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

type GraphOptions = { url: string; user: string; database: string; password?: string; json?: boolean };

/** `stillpoint graph`: a Neo4j database as one file that any server of the kind can take, from server to server. */
export function addGraphCommands(root: Command, world: World): void {
  const graph = root.command("graph").description("a Neo4j database as lines of JSON; needs no service running");
  withServer(graph.command("export"))
    .argument("<file>", "what to write; must not be there yet")
    .description("write nodes, relationships, indexes and constraints of a running server to a file")
    .action((file: string, options: GraphOptions) => exportTo(world, file, options));
  withServer(graph.command("load"))
    .argument(
      "<file>",
      "what `stillpoint graph export` wrote, or the directory `export` of a restored source without `data`",
    )
    .description("load such a file into an empty database; one that holds anything is refused")
    .action((file: string, options: GraphOptions) => loadFrom(world, file, options));
}

function withServer(command: Command): Command {
  return command
    .requiredOption("--url <url>", "the server, such as bolt://graph:7687")
    .option("--user <name>", "its user", "neo4j")
    .option("--password <reference>", "where its password is: ${env:NAME} or ${file:/path}; never the password itself")
    .option("--database <name>", "which database", "neo4j")
    .option("--json", "print the result as one JSON document on standard output");
}

function serverOf({ url, user, database, password }: GraphOptions): Neo4jSource {
  const given = { kind: "neo4j", url, user, database, ...(password === undefined ? {} : { password }) };
  const parsed = neo4jSource.safeParse(given);
  if (parsed.success) return parsed.data;
  // Not the value: somebody may have given the password itself.
  const [issue] = parsed.error.issues;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read which server is meant",
    where: `--${String(issue?.path[0] ?? "url")}`,
    why: issue?.message ?? z.prettifyError(parsed.error),
  });
}

const contextOf = (world: World) => ({ signal: world.signal, secret: secretReader(world) });

async function exportTo(world: World, file: string, options: GraphOptions): Promise<void> {
  const server = serverOf(options);
  const { exportGraph } = await import("@stillpoint/driver-neo4j/graph-file");
  const size = await told(world, "written", (say) => exportGraph(server, file, contextOf(world), say));
  world.out(options.json ? `${JSON.stringify({ file, bytes: size })}\n` : `${file}: ${bytes(size)}\n`);
}

async function loadFrom(world: World, file: string, options: GraphOptions): Promise<void> {
  const server = serverOf(options);
  const { loadGraphFile } = await import("@stillpoint/driver-neo4j/graph-file");
  const done = await told(world, "loaded", (say) => loadGraphFile(server, file, contextOf(world), say));
  const text = `${done.nodes} nodes, ${done.relationships} relationships, ${done.schema} indexes and constraints\n`;
  world.out(options.json ? `${JSON.stringify({ file, ...done })}\n` : text);
}

/** Says how far it is, where it takes a while. */
async function told<Result>(
  world: World,
  what: string,
  work: (say: (lines: number) => void) => Promise<Result>,
): Promise<Result> {
  let lines = 0;
  const say = (done: number) => {
    lines = done;
  };
  return await stillAlive(
    world,
    () => `${lines} lines ${what}`,
    () => work(say),
  );
}
