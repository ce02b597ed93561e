import { once } from "node:events";
import { join, resolve } from "node:path";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import { archiveCommand } from "@stillpoint/driver-postgres/archive/archive-client";
import { serveArchive } from "@stillpoint/driver-postgres/archive/serve-archive";
import { servePush } from "@stillpoint/driver-postgres/archive/serve-push";
import { openAllTargets, openForReading } from "../open-targets.ts";
import type { World } from "../world.ts";
import { logArchive } from "./log-archive.ts";
import { pushSettings } from "./push-settings.ts";
import { type LogOf, logOf } from "./wal-fetch.ts";
import { pushFile } from "./wal-push.ts";

export type ServeWalOptions = LogOf & {
  directory: string;
  /** Of the server that is given the log. */
  data?: string;
};

const [AHEAD, AT_ONCE] = [8, 3];
/** A file that is asked for and cannot be fetched is tried for so long before the server is ended. */
const PATIENCE_MS = 60_000;
/** A server that was ended is started again later than this. */
const FORGET_MS = 5_000;

/**
 * Stays, so that a server starts no Node for each file: it pushes what is ready before it is asked for, and fetches ahead. What
 * it does is what it was given: a token, a repository, or both.
 */
export async function serveWal(world: World, options: ServeWalOptions): Promise<void> {
  const { environment, signal } = world;
  const directory = resolve(options.directory);
  if (/[^\w./+:@-]/.test(directory))
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot serve WAL from this directory",
      where: directory,
      why: "its path must stand in a server's setting as it is: letters, digits and ./+:@_- only",
    });
  await using stack = new AsyncDisposableStack();
  const failed = (name: string, error: unknown) =>
    world.errorLine(`${name}: ${toStillpointError(error, "Cannot push a file of the WAL").message}`);
  const pushes = [environment.STILLPOINT_WAL_TOKEN, environment.STILLPOINT_WAL_TOKEN_FILE].some((each) => each);
  const fetches = [options.repository, environment.STILLPOINT_REPOSITORY].some((each) => each);
  if (!pushes && !fetches) logOf(world, options);
  if (pushes) {
    const to = await pushSettings(world);
    const home = join(directory, "push");
    const push = (path: string) => pushFile(to, path, signal);
    stack.use(await servePush({ directory: home, push, atOnce: AT_ONCE, ahead: AHEAD, failed }));
    world.out(`archive_command = 'sh ${home}/push %p %f'\n`);
  }
  if (fetches) {
    const of = logOf(world, options);
    const targets = stack.use(await openAllTargets(world, of.repository, options));
    const repository = stack.use(await openForReading(world, targets));
    const data = options.data === undefined ? undefined : resolve(options.data);
    const archive = await logArchive(repository, of, { signal, data, allowTablespaces: options.allowTablespaces });
    const home = join(directory, "fetch");
    const { monotonicMs } = world.clock;
    stack.use(
      await serveArchive({
        directory: home,
        archive,
        ahead: AHEAD,
        atOnce: AT_ONCE,
        patienceMs: PATIENCE_MS,
        monotonicMs,
        forgetMs: FORGET_MS,
      }),
    );
    world.out(`restore_command = '${archiveCommand(home)}'\n`);
  }
  world.errorLine("Ctrl-C ends it; the server waits then, and loses nothing");
  if (!signal.aborted) await once(signal, "abort");
}
