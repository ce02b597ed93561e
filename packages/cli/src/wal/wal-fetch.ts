import { mkdtemp, rename, rm } from "node:fs/promises";
import { dirname, join, resolve } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { KeyOptions } from "../key/key-options.ts";
import { openAllTargets, openForReading } from "../open-targets.ts";
import type { World } from "../world.ts";
import { logArchive } from "./log-archive.ts";

export type LogOf = KeyOptions & { plan?: string; source?: string; repository?: string; allowTablespaces: boolean };

/** Whose log, and where it is: said by the options, or, where a server's setting is to stay short, by the environment. */
export function logOf({ environment }: Pick<World, "environment">, options: LogOf) {
  const plan = options.plan ?? environment.STILLPOINT_WAL_PLAN;
  const source = options.source ?? environment.STILLPOINT_WAL_SOURCE;
  const repository = options.repository ?? environment.STILLPOINT_REPOSITORY;
  if (plan !== undefined && source !== undefined && repository !== undefined) return { plan, source, repository };
  throw new StillpointError("INVALID_REQUEST", {
    what: "Cannot fetch WAL",
    where: "--plan, --source, --repository",
    why: "they say whose log, and where it is: one of them is missing",
    hint: "or set STILLPOINT_WAL_PLAN, STILLPOINT_WAL_SOURCE and STILLPOINT_REPOSITORY",
  });
}

/**
 * `restore_command = 'stillpoint wal fetch %f %p'`. It reads with the repository's key, not with the token that pushes: that one
 * lies on the server for good, and whoever has it must not have the data.
 */
export async function fetchWal(world: World, name: string, to: string, options: LogOf): Promise<"there" | "absent"> {
  const of = logOf(world, options);
  await using targets = await openAllTargets(world, of.repository, options);
  await using repository = await openForReading(world, targets);
  const place = resolve(to);
  const { signal } = world;
  const { allowTablespaces } = options;
  // PostgreSQL wants it in pg_wal, in its data directory.
  const archive = await logArchive(repository, of, { signal, allowTablespaces, data: dirname(dirname(place)) });
  if (!(await archive.has(name))) return "absent";
  const directory = await mkdtemp(join(dirname(place), ".stillpoint-"));
  try {
    await rename(await archive.fetch(name, directory, signal), place);
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
  return "there";
}
