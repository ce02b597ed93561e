import { StillpointError } from "@stillpoint/contracts/errors";
import { type QdrantSource, qdrantSource } from "@stillpoint/contracts/source";
import type { Command } from "commander";
import { bytes } from "./figures.ts";
import { several } from "./key/key-options.ts";
import { renames } from "./rename-option.ts";
import { secretReader } from "./secret-reader.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

type ServerOptions = { url: string; apiKey?: string; collection: string[]; json?: boolean };
type LoadOptions = ServerOptions & { rename: string[]; keepAliases: boolean };

/** `stillpoint vectors`: collections of a Qdrant server as one file that a server of any version can take. */
export function addVectorsCommands(root: Command, world: World): void {
  const vectors = root
    .command("vectors")
    .description("a Qdrant server's collections as lines of JSON; needs no service running");
  withServer(vectors.command("export"))
    .argument("<file>", "what to write; must not be there yet")
    .description(
      "write points, parameters and aliases of a running server to a file; not at one moment, where it is written",
    )
    .action((file: string, options: ServerOptions) => exportTo(world, file, options));
  withServer(vectors.command("load"))
    .argument("<file>", "what `stillpoint vectors export` wrote")
    .description("load such a file into new collections; broken off, the same again goes on with it")
    .option("--rename <from=to>", "the name that a collection gets; may be repeated", several, [])
    .option("--keep-aliases", "set none of the file's aliases", false)
    .action((file: string, options: LoadOptions) => loadFrom(world, file, options));
}

function withServer(command: Command): Command {
  return command
    .requiredOption("--url <url>", "the server, such as http://qdrant:6333")
    .option("--api-key <reference>", "where its key is: ${env:NAME} or ${file:/path}; never the key itself")
    .option("--collection <name>", "this one only; may be repeated", several, [])
    .option("--json", "print the result as one JSON document on standard output");
}

function serverOf({ url, apiKey }: ServerOptions): QdrantSource {
  const parsed = qdrantSource.safeParse({ kind: "qdrant", url, apiKey });
  if (parsed.success) return parsed.data;
  // Not the value: somebody may have given the key itself.
  const [issue] = parsed.error.issues;
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot read which server is meant",
    where: issue?.path[0] === "apiKey" ? "--api-key" : "--url",
    why: issue?.message ?? "it is no server's address",
  });
}

const contextOf = (world: World) => ({ signal: world.signal, secret: secretReader(world) });

async function exportTo(world: World, file: string, options: ServerOptions): Promise<void> {
  const server = serverOf(options);
  const { exportPoints } = await import("@stillpoint/driver-qdrant/export-points");
  const size = await told(world, "written", (say) =>
    exportPoints(server, file, options.collection, contextOf(world), say),
  );
  world.out(options.json ? `${JSON.stringify({ file, bytes: size })}\n` : `${file}: ${bytes(size)}\n`);
}

async function loadFrom(world: World, file: string, options: LoadOptions): Promise<void> {
  const server = serverOf(options);
  const { collection: collections, keepAliases } = options;
  const wishes = { collections, rename: renames(options.rename), keepAliases };
  const { loadPoints } = await import("@stillpoint/driver-qdrant/load-points");
  const done = await told(world, "loaded", (say) => loadPoints(server, file, wishes, contextOf(world), say));
  const lines = Object.entries(done.collections).map(([name, points]) => `${name}: ${points} points\n`);
  world.out(options.json ? `${JSON.stringify({ file, ...done })}\n` : lines.join(""));
}

/** Says how far it is, where it takes a while. */
async function told<Result>(
  world: World,
  what: string,
  work: (say: (points: number) => void) => Promise<Result>,
): Promise<Result> {
  let points = 0;
  const say = (done: number) => {
    points = done;
  };
  return await stillAlive(
    world,
    () => `${points} points ${what}`,
    () => work(say),
  );
}
