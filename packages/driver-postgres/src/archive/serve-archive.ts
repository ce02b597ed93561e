import { type FSWatcher, watch } from "node:fs";
import { chmod, chown, mkdir, mkdtemp, readdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { StillpointError, toStillpointError } from "@stillpoint/contracts/errors";
import type { Account } from "@stillpoint/driver/account";
import { diskError } from "@stillpoint/driver/disk-error";
import { ARCHIVE_CLIENT, ARCHIVE_PLACES, BEAT_FILE, CLIENT_FILE, FAILED_FILE } from "./archive-client.ts";

/** Files of a log, by name. */
export type Archive = {
  /** Rejects where nobody can tell: that is not "no". */
  has: (name: string) => Promise<boolean>;
  /** The names that will be asked for behind one, in order; at most so many. */
  after: (name: string, count: number) => readonly string[];
  /** Makes the file in an empty directory; its path. */
  fetch: (name: string, directory: string, signal: AbortSignal) => Promise<string>;
};

export type ServeOptions = {
  /** Made anew, on the file system of the data directory. */
  directory: string;
  archive: Archive;
  /** So many files lie there before they are asked for: what this takes of disk. */
  ahead: number;
  /** So many are fetched at once: what this takes of memory. */
  atOnce: number;
  /** A file that is asked for and cannot be fetched is tried for so long before the server is told. */
  patienceMs: number;
  /** Whom the server runs as, where that is another. */
  account?: Account | undefined;
  monotonicMs: () => number;
  /** Trouble is forgotten after so long, for a server that is started again; absent: never. */
  forgetMs?: number;
  /** A file was asked for, and is there. */
  taken?: (name: string) => void;
};

export type ServedArchive = AsyncDisposable & {
  /** Why the server was told to end, if it was. */
  failure: () => StillpointError | undefined;
};

/** Looks are woken by the file system; this is for one that tells nothing. */
const LOOK_MS = 100;
const BEAT_MS = 1_000;
/** Histories are asked for at any time, and say nothing of where recovery stands. */
const IS_SEGMENT = /^[0-9A-F]{24}$/;
const [SHORTEST_PAUSE_MS, LONGEST_PAUSE_MS] = [100, 2_000];

/** Gives the files of an archive to the client that PostgreSQL starts, each before it is asked for where that can be. */
export async function serveArchive(options: ServeOptions): Promise<ServedArchive> {
  const { directory, archive, ahead, atOnce, patienceMs, account, monotonicMs } = options;
  const at = (...parts: string[]) => join(directory, ...parts);
  const work = at("work");
  const closing = new AbortController();
  const { signal } = closing;
  /** Lie there, and were not asked for since. */
  const laid = new Set<string>();
  const running = new Map<string, Promise<void>>();
  /** Asked for and not answered, since when. */
  const asked = new Map<string, number>();
  let position: string | undefined;
  let failure: StillpointError | undefined;

  const own = async (path: string) => {
    if (account !== undefined) await chown(path, account.uid, account.gid);
  };
  /** Whole or not at all, for whoever reads it. */
  let notes = 0;
  const put = async (name: string, content: string) => {
    notes += 1;
    const note = join(work, `note-${notes}`);
    await writeFile(note, content, { mode: 0o600 });
    await own(note);
    await rename(note, at(name));
  };

  await rm(directory, { recursive: true, force: true });
  for (const path of [directory, ...Object.values(ARCHIVE_PLACES).map((place) => at(place)), work]) {
    await mkdir(path, { recursive: true });
    await chmod(path, 0o700);
    await own(path);
  }
  await put(CLIENT_FILE, ARCHIVE_CLIENT);
  await put(BEAT_FILE, "0\n");

  let forgetting: NodeJS.Timeout | undefined;
  const forget = async () => {
    failure = undefined;
    asked.clear();
    await rm(at(FAILED_FILE), { force: true });
  };
  const fail = async (error: unknown) => {
    if (failure !== undefined || signal.aborted) return;
    failure = toStillpointError(error, "Cannot give PostgreSQL its log");
    if (options.forgetMs !== undefined) forgetting = setTimeout(() => void forget().catch(fail), options.forgetMs);
    await put(FAILED_FILE, `${`${failure.code}: ${failure.message}`.replaceAll(/\s+/g, " ")}\n`).catch(() => {
      // No room for it: the beat that stands still says it too.
      clearInterval(beating);
    });
  };

  const fetchOnce = async (name: string) => {
    const into = await mkdtemp(join(work, "fetch-"));
    try {
      const path = await archive.fetch(name, into, signal);
      await own(path);
      await rename(path, at(ARCHIVE_PLACES.ready, name));
      if (asked.delete(name)) options.taken?.(name);
      else laid.add(name);
    } catch (error) {
      throw diskError(error, name);
    } finally {
      await rm(into, { recursive: true, force: true });
    }
  };

  /** Whether there is such a file; one that was asked for is answered where there is none. */
  const isHeld = async (name: string): Promise<boolean> => {
    if (!asked.has(name)) return true;
    if (await archive.has(name)) {
      await goTo(name);
      return true;
    }
    asked.delete(name);
    await put(join(ARCHIVE_PLACES.absent, name), "");
    return false;
  };

  /** What is fetched ahead and fails is tried again when it is asked for; only then is it trouble. */
  const fetch = async (name: string) => {
    for (let pauseMs = SHORTEST_PAUSE_MS; !signal.aborted; pauseMs = Math.min(2 * pauseMs, LONGEST_PAUSE_MS))
      try {
        if (await isHeld(name)) await fetchOnce(name);
        return;
      } catch (error) {
        const sinceMs = asked.get(name);
        if (signal.aborted || sinceMs === undefined) return;
        const isHopeless = !(error instanceof StillpointError) || error.retry === "never";
        if (isHopeless || monotonicMs() - sinceMs >= patienceMs) return await fail(error);
        await delay(pauseMs, undefined, { signal }).catch(() => undefined);
      }
  };

  const start = (name: string) => {
    const done = fetch(name).finally(() => {
      running.delete(name);
      // Asked for just when what was fetched ahead had failed.
      if (asked.has(name) && failure === undefined && !signal.aborted) start(name);
      readAhead();
    });
    running.set(name, done);
  };
  const readAhead = () => {
    if (position === undefined || failure !== undefined || signal.aborted) return;
    for (const name of archive.after(position, ahead)) {
      if (running.size >= atOnce) return;
      if (!laid.has(name) && !running.has(name)) start(name);
    }
  };

  /** Recovery stands there now. */
  const goTo = async (name: string) => {
    if (!IS_SEGMENT.test(name)) return;
    position = name;
    const near = new Set(archive.after(name, ahead));
    // Where it went somewhere else, what was fetched for the way that it left takes room.
    for (const other of [...laid].filter((each) => !near.has(each))) {
      laid.delete(other);
      await rm(at(ARCHIVE_PLACES.ready, other), { force: true });
    }
    readAhead();
  };

  const answer = async (name: string) => {
    // It lies there, and is taken now or was just taken.
    if (laid.delete(name)) {
      options.taken?.(name);
      return await goTo(name);
    }
    asked.set(name, monotonicMs());
    if (!running.has(name) && failure === undefined) start(name);
  };

  let looking: Promise<void> | undefined;
  let lookAgain = false;
  const lookOnce = async () => {
    do {
      lookAgain = false;
      for (const name of await readdir(at(ARCHIVE_PLACES.asked))) {
        await rm(at(ARCHIVE_PLACES.asked, name), { force: true });
        await answer(name);
      }
    } while (lookAgain && !signal.aborted);
  };
  const look = () => {
    lookAgain = true;
    looking ??= lookOnce()
      .catch(fail)
      .finally(() => {
        looking = undefined;
      });
  };

  let beats = 0;
  const beating = setInterval(() => {
    beats += 1;
    void put(BEAT_FILE, `${beats}\n`).catch(fail);
  }, BEAT_MS);
  const timer = setInterval(look, LOOK_MS);
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(at(ARCHIVE_PLACES.asked), look);
    // Where the system gives no more watches, the timer looks.
    watcher.on("error", () => watcher?.close());
  } catch {
    watcher = undefined;
  }

  return {
    failure: () => failure,
    async [Symbol.asyncDispose]() {
      closing.abort();
      watcher?.close();
      clearInterval(timer);
      clearInterval(beating);
      clearTimeout(forgetting);
      await Promise.all([looking, ...running.values()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
