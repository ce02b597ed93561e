import { duration } from "@stillpoint/contracts/duration";
import type { GarbageReport } from "@stillpoint/repository/garbage/collect";
import type { GarbagePlan } from "@stillpoint/repository/garbage/plan";
import type { Command } from "commander";
import { bytes, table } from "./figures.ts";
import { type RepositoryKeyOptions, withKey } from "./key/key-options.ts";
import { openAllTargets, openOn } from "./open-targets.ts";
import { parsed } from "./parsed-option.ts";
import { stillAlive } from "./still-alive.ts";
import type { World } from "./world.ts";

const JSON_OPTION = ["--json", "print the result as one JSON document on standard output"] as const;

const PIN_WORDS: Record<GarbagePlan["pinned"][number]["pin"], string> = {
  point: "point",
  hold: "hold on point",
  log: "log of a source, backup",
  undelete: "deleted point that can be undeleted",
  unsealed: "backup in no point yet",
  lease: "lease of",
};

function objects(count: number): string {
  return `${count} ${count === 1 ? "object" : "objects"}`;
}

/** What goes when, and what pins the rest. */
export function describeGarbage(plan: GarbagePlan): string {
  const lines = [`freed now: ${bytes(plan.freedNow.bytes)} in ${objects(plan.freedNow.objects)}`];
  for (const { at, bytes: freed, objects: count } of plan.freedOn)
    lines.push(`freed on ${at}: ${bytes(freed)} in ${objects(count)}`);
  if (plan.later.objects > 0)
    lines.push(
      `freed by later runs, for this is more than one condemns: ${bytes(plan.later.bytes)} in ${objects(plan.later.objects)}`,
    );
  for (const { holder, role, until } of plan.waitsFor)
    lines.push(`what is due waits for a ${role}: ${holder}, until ${until} unless it is renewed`);
  if (plan.pinned.length > 0) {
    const rows = plan.pinned.map((each) => [
      PIN_WORDS[each.pin],
      each.what,
      bytes(each.bytes),
      each.until ?? "somebody ends it",
    ]);
    lines.push("", table(["pinned by", "which", "bytes", "until"], rows, [2]));
  }
  if (plan.waste.bytes > 0)
    lines.push(
      "",
      `waste in packs that are needed in part: ${bytes(plan.waste.bytes)}; ${plan.waste.packs} packs have enough of it to be written anew`,
    );
  for (const backupId of plan.broken) lines.push(`✗ backup ${backupId} is in no point, and cannot be read`);
  return lines.join("\n");
}

function describeRun({ freed, condemned, rewritten, retained, waitsFor, plan }: GarbageReport): string {
  const lines = [
    `freed ${bytes(freed.bytes)} in ${objects(freed.objects)}`,
    `condemned ${bytes(condemned.bytes)} in ${objects(condemned.objects)}: they go when the grace has passed`,
  ];
  if (rewritten.packs > 0) lines.push(`wrote ${rewritten.packs} packs anew, ${bytes(rewritten.bytes)}`);
  for (const { object, why } of retained) lines.push(`retained: ${object}: ${why}`);
  if (waitsFor.length > 0) lines.push(`what is due waits for ${waitsFor.join(", ")}`);
  return `${lines.join("\n")}\n\nnow left:\n${describeGarbage(plan)}`;
}

type Options = RepositoryKeyOptions & { dryRun?: boolean; keepLog?: number };

async function collect(world: World, options: Options): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openOn(world, targets, targets.primary);
  const { signal } = world;
  const { keepLog } = options;
  // A repository does not know its plans: without a word on it, no log goes that could be replayed.
  const settings = keepLog === undefined ? {} : { keepLogMs: () => keepLog };
  const print = (result: object, words: string) =>
    world.out(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : `${words}\n`);
  if (options.dryRun) {
    const plan = await stillAlive(world, "looking at what is needed", () =>
      repository.planGarbage({ settings, signal }),
    );
    print(plan, describeGarbage(plan));
  } else {
    const report = await stillAlive(world, "collecting garbage", () => repository.collectGarbage({ settings, signal }));
    print(report, describeRun(report));
  }
}

/** `stillpoint repo gc …` */
export function addGarbageCommands(repo: Command, world: World): void {
  const gc = repo.command("gc").description("garbage: what no point, hold, log or writer needs any more");
  const withRepository = (command: Command) =>
    withKey(command)
      .requiredOption("--repository <url>", "its URL or targets file")
      .option(
        "--keep-log <time>",
        "how far back the log is kept, such as 7d; left out, all of it that has a base",
        parsed(duration, "the time"),
      )
      .option(...JSON_OPTION);
  withRepository(gc.command("plan"))
    .description("what would be freed now, what on which date, and what pins the rest; changes nothing")
    .action((options) => collect(world, { ...options, dryRun: true }));
  withRepository(gc.command("run"))
    .description("delete what was condemned long enough ago, and condemn what is garbage now; safe beside backups")
    .option("--dry-run", "the same as plan", false)
    .action((options) => collect(world, options));
}
