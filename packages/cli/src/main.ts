import { StillpointError } from "@stillpoint/contracts/errors";
import { CommanderError } from "commander";
import { program } from "./commands.ts";
import { runAsCommand } from "./run-as-command.ts";

await runAsCommand(async (world) => {
  try {
    await program(world).parseAsync(process.argv);
  } catch (error) {
    // Help that was asked for is no error; any other word of commander's is about how the command was written.
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode === 0) return;
    throw new StillpointError("INVALID_REQUEST", { what: error.message, hint: "see --help" });
  }
});
