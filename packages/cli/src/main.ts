import { StillpointError } from "@stillpoint/contracts/errors";
import { runAsCommand } from "./run-as-command.ts";
import type { World } from "./world.ts";

const [group, verb, ...words] = process.argv.slice(2);
const [path] = words;
const isFetch = group === "wal" && verb === "fetch";
// Node's own code for what nobody caught is 1, which PostgreSQL would take for the end of the log.
if (isFetch)
  process.on("uncaughtException", (error) => {
    process.stderr.write(`${error.stack}\n`);
    process.exit(126);
  });

async function anyCommand(world: World): Promise<void> {
  const [{ CommanderError }, { program }] = await Promise.all([import("commander"), import("./commands.ts")]);
  try {
    await program(world).parseAsync(process.argv);
  } catch (error) {
    // Help that was asked for is no error; any other word of commander's is about how the command was written.
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    throw new StillpointError("INVALID_REQUEST", { what: error.message, hint: "see --help" });
  }
}

if (group === "wal" && verb === "push" && path !== undefined && words.length === 1 && !path.startsWith("-"))
  // Started for each file that a server archives: no more is loaded than it needs.
  await runAsCommand(async (world) => (await import("./wal/wal-push.ts")).pushWal(world, path));
else if (isFetch) {
  const { exitOfFetch } = await import("./wal/exit-of-fetch.ts");
  await runAsCommand(anyCommand, exitOfFetch);
} else await runAsCommand(anyCommand);
