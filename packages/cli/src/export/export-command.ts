import type { Command } from "commander";
import { several, withKey } from "../key/key-options.ts";
import type { World } from "../world.ts";
import { type ExportOptions, exportPoint } from "./export-point.ts";

/** `stillpoint point export`. `idOf` refuses what is no point's id. */
export function addExportCommand(point: Command, world: World, idOf: (text: string) => string): void {
  withKey(point.command("export"))
    .description("write a point as the stores' own files, with SHA-256 files beside them; what is cut off goes on")
    .argument("[point]", "id of a recovery point; the newest whole one of the plan where it is left out", idOf)
    .requiredOption("--to <url>", "a directory, s3://, azure:// or gs:// URL, or a targets file, whose primary it is")
    .option("--plan <name>", "whose newest point")
    .option("--source <name>", "this source only; may be repeated", several, [])
    .option("--repository <url>", "straight from a repository, with no service running: its URL or targets file")
    .option(
      "--work <directory>",
      "where sources are restored to meanwhile, one after the other; default: below the system's temporary directory",
    )
    .option("--sql", "SQLite databases as SQL too", false)
    .option("--without-table <name>", "with --sql: leave this table out of the SQL; may be repeated", several, [])
    .option("--dry-run", "say what would be written and how large, and write nothing", false)
    .option("--thaw", "with --repository: ask for what lies in a cold storage class, and wait for it", false)
    .option("--json", "print the result as one JSON document on standard output")
    .action((pointId: string | undefined, options: ExportOptions) => exportPoint(world, pointId, options));
}
