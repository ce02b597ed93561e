import type { Command } from "commander";
import { withKey } from "../key/key-options.ts";
import type { World } from "../world.ts";
import { NotInArchive } from "./exit-of-fetch.ts";
import { fetchWal, type LogOf } from "./wal-fetch.ts";
import { pushWal } from "./wal-push.ts";
import { type ServeWalOptions, serveWal } from "./wal-serve.ts";
import { mintLogToken, revokeLogTokens, type TokenOptions } from "./wal-token.ts";

/** `stillpoint wal`: for servers that give no slot. */
export function addWalCommands(root: Command, world: World): void {
  const wal = root.command("wal").description("a PostgreSQL's log without a slot: archive_command and restore_command");
  const ofSource = (command: Command) =>
    command.requiredOption("--plan <name>", "its plan").requiredOption("--source <name>", "its name in the plan");
  ofSource(wal.command("token"))
    .description("write a token that appends to one source's log, and does nothing else, to a file (0600)")
    .requiredOption("--file <file>", "what to write; must not be there yet")
    .option("--days <days>", "how long it counts", "365")
    .option("--json", "print the result as one JSON document on standard output")
    .action((options: TokenOptions) => mintLogToken(world, options));
  ofSource(wal.command("revoke"))
    .description("no token for a source that was minted before now counts any more")
    .option("--json", "print the result as one JSON document on standard output")
    .action((options: TokenOptions) => revokeLogTokens(world, options));
  wal
    .command("push")
    .argument("<path>", "%p of archive_command")
    .description("give a file of the WAL to the vault; 0 says that it is durable")
    .action((path: string) => pushWal(world, path));
  const fromLog = (command: Command) =>
    withKey(command)
      .option("--plan <name>", "whose log; or STILLPOINT_WAL_PLAN")
      .option("--source <name>", "its name in the plan; or STILLPOINT_WAL_SOURCE")
      .option("--repository <url>", "its URL or targets file; or STILLPOINT_REPOSITORY")
      .option(
        "--allow-tablespaces",
        "give a log also where it makes a tablespace in a directory that a server of this machine uses",
        false,
      );
  fromLog(wal.command("fetch"))
    .argument("<name>", "%f of restore_command")
    .argument("<path>", "%p of restore_command")
    .description("lay a file of the WAL there: 1 says that there is none, and 126 or more that it could not be fetched")
    .action(async (name: string, path: string, options: LogOf) => {
      if ((await fetchWal(world, name, path, options)) === "absent")
        throw new NotInArchive("NOT_FOUND", { what: "The archive has no such file", where: name });
    });
  fromLog(wal.command("serve"))
    .requiredOption(
      "--directory <directory>",
      "of this command's own, on the server's machine and owned by its account",
    )
    .option("--data <directory>", "the server's data directory: the tablespaces that are in it are its own")
    .description("a helper that stays, for a busy server: pushes and fetches ahead, and prints the two settings")
    .action((options: ServeWalOptions) => serveWal(world, options));
}
