import { StillpointError } from "@stillpoint/contracts/errors";
import { instant, uuid } from "@stillpoint/contracts/names";
import type { Repository } from "@stillpoint/repository/repository";
import type { Command } from "commander";
import { addExportCommand } from "./export/export-command.ts";
import { again, type RepositoryKeyOptions, withKey } from "./key/key-options.ts";
import { openAllTargets, openOn } from "./open-targets.ts";
import type { World } from "./world.ts";

type Options = RepositoryKeyOptions & { reason?: string; by?: string };

function idOf(text: string, what: string): string {
  const parsed = uuid.safeParse(text);
  if (parsed.success) return parsed.data;
  throw new StillpointError("INVALID_REQUEST", {
    what: `That is not the id of a ${what}`,
    where: text,
    hint: "stillpoint points; stillpoint point holds",
  });
}

async function within(
  world: World,
  options: Options,
  work: (repository: Repository, by: string) => Promise<{ result: object; words: string }>,
): Promise<void> {
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openOn(world, targets, targets.primary);
  const { result, words } = await work(
    repository,
    options.by ?? world.environment.USER ?? "a person at the command line",
  );
  world.out(options.json ? `${JSON.stringify(result, undefined, 2)}\n` : `${words}\n`);
}

/** `stillpoint point …`: what is said of a point after it was sealed. Straight on a repository, with no service running. */
export function addPointCommands(program: Command, world: World): void {
  const point = program.command("point").description("delete, undelete, hold and export recovery points");
  addExportCommand(point, world, (text) => idOf(text, "recovery point"));
  const command = (name: string, description: string) =>
    withKey(point.command(name))
      .description(description)
      .argument("<point>", "id of a recovery point", (text) => idOf(text, "recovery point"))
      .requiredOption("--repository <url>", "its URL or targets file")
      .option("--by <name>", "who asks for it; the user of this process where it is left out")
      .option("--json", "print the result as one JSON document on standard output");

  command("delete", "delete a point; it can be undeleted until its bytes are swept, a week and more")
    .option("--reason <words>", "why, for people")
    .action((pointId: string, options: Options) =>
      within(world, options, async (repository, by) => {
        await repository.deletePoint(pointId, { by, reason: options.reason });
        const words = `deleted ${pointId}; bring it back: stillpoint point undelete ${pointId} ${again(options)}`;
        return { result: { pointId, deleted: true }, words };
      }),
    );
  command("undelete", "bring a deleted point back, once every chunk of it was found to be there")
    .option("--reason <words>", "why, for people")
    .action((pointId: string, options: Options) =>
      within(world, options, async (repository, by) => {
        await repository.undeletePoint(pointId, { by, reason: options.reason });
        return { result: { pointId, deleted: false }, words: `${pointId} is back, and all of it is there` };
      }),
    );
  command("hold", "keep a point whatever retention says, until the hold is released")
    .requiredOption("--reason <words>", "why, for people")
    .option("--until <instant>", "the hold ends then by itself: 2027-01-31T00:00:00.000Z")
    .action((pointId: string, options: Options & { reason: string; until?: string }) =>
      within(world, options, async (repository, by) => {
        const { reason, until } = options;
        if (until !== undefined && !instant.safeParse(until).success)
          throw new StillpointError("INVALID_REQUEST", {
            what: "That is no moment",
            where: until,
            hint: "--until 2027-01-31T00:00:00.000Z",
          });
        const hold = await repository.placeHold(pointId, { by, reason, until });
        const words = `held; release it: stillpoint point release ${pointId} ${hold.holdId} ${again(options)}`;
        return { result: hold, words };
      }),
    );
  command("keep", "give a point a retention of its own, instead of its plan's")
    .requiredOption("--until <when>", "2027-01-31T00:00:00.000Z, `never` (it never goes), or `plan` (as the plan says)")
    .option("--reason <words>", "why, for people")
    .action((pointId: string, options: Options & { until: string }) =>
      within(world, options, async (repository, by) => {
        const { until, reason } = options;
        await repository.keepPoint(pointId, until, { by, reason });
        const words =
          until === "plan"
            ? "its plan's retention counts again"
            : until === "never"
              ? "it never goes"
              : `kept until ${until}`;
        return { result: { pointId, until }, words: `${pointId}: ${words}` };
      }),
    );
  command("holds", "the holds on a point that are in force").action((pointId: string, options: Options) =>
    within(world, options, async (repository) => {
      if ((await repository.point(pointId)) === undefined)
        throw new StillpointError("POINT_UNKNOWN", { what: "There is no such point", where: pointId });
      const holds = await repository.holdsOn(pointId);
      const words = holds.map(
        ({ holdId, reason, by, until }) =>
          `${holdId}  ${reason} (${by}${until === undefined ? "" : `, until ${until}`})`,
      );
      return { result: holds, words: words.length === 0 ? "no hold is on it" : words.join("\n") };
    }),
  );
  command("release", "release a hold")
    .argument("<hold>", "its id: see `stillpoint point holds`", (text) => idOf(text, "hold"))
    .option("--reason <words>", "why, for people")
    .action((pointId: string, holdId: string, options: Options) =>
      within(world, options, async (repository, by) => {
        await repository.releaseHold(pointId, holdId, { by, reason: options.reason });
        return { result: { pointId, holdId, released: true }, words: `released ${holdId}` };
      }),
    );
}
