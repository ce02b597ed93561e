import { StillpointError } from "@stillpoint/contracts/errors";
import type { CheckReport, Problem, Transient } from "@stillpoint/repository/check/report";
import { bytes } from "../figures.ts";
import type { RepositoryKeyOptions } from "../key/key-options.ts";
import { openAllTargets, openOn } from "../open-targets.ts";
import type { World } from "../world.ts";
import { showProgress } from "./show-progress.ts";

/** `--read-data`, `--read-data 1/30`. */
export function partsOf(value: string | boolean | undefined): boolean | { parts: number } {
  if (typeof value !== "string") return value === true;
  const parts = Number(/^1\/([1-9]\d{0,5})$/.exec(value)?.[1]);
  if (Number.isInteger(parts)) return { parts };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot tell which part of the data to read",
    where: `--read-data ${value}`,
    hint: "--read-data 1/30 reads the thirtieth part that was read longest ago; --read-data alone reads everything",
  });
}

export function describeProblems(problems: readonly Problem[], transient: readonly Transient[]): string {
  const hurt = ({ backups, points }: Problem) =>
    points.length > 0
      ? `; hurts points ${points.join(", ")}`
      : backups.length > 0
        ? `; hurts backups ${backups.join(", ")}, which no point needs`
        : "";
  return [
    ...problems.map((each) => `✗ ${each.object}: ${each.why}${hurt(each)}\n`),
    ...transient.map(({ object, why }) => `! ${object}: transient: ${why}; sound when it was read again\n`),
  ].join("");
}

export function damaged(where: string, count: number): StillpointError {
  return new StillpointError("VERIFICATION_FAILED", {
    what: "The repository is damaged",
    where,
    why: `${count} objects, named above`,
    hint: "stillpoint repo repair --plan-out repair.json, which changes nothing yet",
  });
}

export function describeCheck(report: CheckReport): string {
  const { points, backups, packs, chunks, unlistedPacks, readPacks, readBytes, problems, transient } = report;
  const read = readPacks === 0 ? "no data read" : `${readPacks} packs read to the last byte, ${bytes(readBytes)}`;
  const unlisted = unlistedPacks === 0 ? "" : `, ${unlistedPacks} packs that no index lists`;
  return `${points} points, ${backups} backups, ${packs} packs, ${chunks} places of chunks; ${read}${unlisted}\n${describeProblems(problems, transient)}`;
}

export async function checkRepository(
  world: World,
  options: RepositoryKeyOptions & { readData?: string | boolean },
): Promise<void> {
  const readData = partsOf(options.readData);
  await using targets = await openAllTargets(world, options.repository, options);
  await using repository = await openOn(world, targets, targets.primary);
  const progress = showProgress(world);
  const report = await repository.check({ readData, onProgress: progress.tell, signal: world.signal });
  progress.end();
  world.out(options.json ? `${JSON.stringify(report, undefined, 2)}\n` : describeCheck(report));
  if (report.problems.length > 0) throw damaged(options.repository, report.problems.length);
}
