import { byteSize } from "@stillpoint/contracts/byte-size";
import { duration } from "@stillpoint/contracts/duration";
import type { Command } from "commander";
import { withKey } from "../key/key-options.ts";
import { parsed } from "../parsed-option.ts";
import type { World } from "../world.ts";
import { checkRepository } from "./check.ts";
import { repairRepository } from "./repair.ts";
import { applyRetention, planRetention } from "./retention.ts";
import { scrubRepository } from "./scrub.ts";

const JSON_OPTION = ["--json", "print the result as one JSON document on standard output"] as const;

/** `retention plan` and `retention apply`: needs a running system, whose plans and vault they ask. */
export function addRetentionCommands(command: Command, world: World): void {
  const retention = command.command("retention").description("which points stay, which go, and why");
  retention
    .command("plan")
    .description("say of each point whether it stays, and why; deletes nothing")
    .option("--plan <name>", "of this plan only")
    .option("--out <file>", "write it down, to be applied")
    .option(...JSON_OPTION)
    .action((options) => planRetention(world, options));
  retention
    .command("apply")
    .argument("<file>", "what `retention plan --out` wrote")
    .description("delete what it lets go, if all of it still holds; a running vault does this by itself every hour")
    .option(...JSON_OPTION)
    .action((file: string, options) => applyRetention(world, file, options));
}

/** `repo check`, `scrub` and `repair`. */
export function addCareCommands(repo: Command, world: World): void {
  withKey(repo.command("check"))
    .description("check the repository: all of its structure, and as much of its data as is asked for")
    .requiredOption("--repository <url>", "its URL or targets file")
    .option("--read-data [part]", "read every pack to the last byte; 1/30: the part that was read longest ago")
    .option(...JSON_OPTION)
    .action((options) => checkRepository(world, options));
  withKey(repo.command("scrub"))
    .description("read a part of the data, from where the last one ended; a running vault does it by itself")
    .requiredOption("--repository <url>", "its URL or targets file")
    .option("--bytes <size>", "read at most this much, such as 10GiB", parsed(byteSize, "the size"))
    .option("--for <time>", "for at most this long, such as 10m", parsed(duration, "the time"))
    .option("--rate <size>", "no faster than this in a second, such as 20MiB", parsed(byteSize, "the rate"))
    .option(...JSON_OPTION)
    .action((options) => scrubRepository(world, options));
  withKey(repo.command("repair"))
    .description("mend damage from replicas and from what is left, by a plan that somebody looked at first")
    .requiredOption("--repository <url>", "its targets file, whose replicas are asked, or its URL")
    .option("--plan-out <file>", "check, and write down what would be done; nothing is changed")
    .option("--read-data [part]", "for the plan: how much of the data to read; everything where it is left out")
    .option("--apply <file>", "do what this plan says, look at each object again before, and check afterwards")
    .option(...JSON_OPTION)
    .action((options) => repairRepository(world, options));
}
