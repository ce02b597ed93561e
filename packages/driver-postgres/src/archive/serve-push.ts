import { type FSWatcher, watch } from "node:fs";
import { chown, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { toStillpointError } from "@stillpoint/contracts/errors";
import type { Account } from "@stillpoint/driver/account";
import { codeOf } from "@stillpoint/driver/disk-error";
import { PUSH_CLIENT, PUSH_CLIENT_FILE, PUSH_PLACES } from "./push-client.ts";
import { parseWalName } from "./wal-name.ts";

export type PushServing = {
  /** Of this alone, and of the server's account; made anew. */
  directory: string;
  /** The file is durable when it resolves. */
  push: (path: string) => Promise<unknown>;
  atOnce: number;
  /** So many files that the server has ready are pushed before it asks. */
  ahead: number;
  /** Whom the server runs as, where that is another. */
  account?: Account | undefined;
  /** Not durable; the server asks again. */
  failed: (name: string, error: unknown) => void;
};

const LOOK_MS = 100;
const BEAT_MS = 1_000;

/** Pushes a server's WAL, each file before the server asks for it where that can be. */
export async function servePush(serving: PushServing): Promise<AsyncDisposable> {
  const { directory, push, atOnce, ahead, account, failed } = serving;
  const at = (...parts: string[]) => join(directory, ...parts);
  const own = async (path: string) => {
    if (account !== undefined) await chown(path, account.uid, account.gid);
  };
  const asked = new Map<string, string>();
  /** Durable, as long as the server has them ready still. */
  const pushed = new Set<string>();
  const running = new Map<string, Promise<void>>();
  /** The server's own `pg_wal`, once it has asked for a file of it. */
  let wal: string | undefined;
  let closed = false;
  let notes = 0;

  const put = async (name: string, content: string) => {
    notes += 1;
    const note = at("work", `note-${notes}`);
    await writeFile(note, content, { mode: 0o600 });
    await own(note);
    await rename(note, at(name));
  };
  await rm(directory, { recursive: true, force: true });
  for (const path of [directory, at("work"), ...Object.values(PUSH_PLACES).map((place) => at(place))]) {
    await mkdir(path, { recursive: true, mode: 0o700 });
    await own(path);
  }
  await put(PUSH_CLIENT_FILE, PUSH_CLIENT);
  await put("beat", "0\n");

  const one = async (name: string, path: string) => {
    try {
      await push(path);
      pushed.add(name);
      asked.delete(name);
      await put(join(PUSH_PLACES.done, name), "");
    } catch (error) {
      if (!asked.delete(name)) return;
      failed(name, error);
      const { code, message } = toStillpointError(error, "Cannot push a file of the WAL");
      await put(join(PUSH_PLACES.failed, name), `${`${code}: ${message}`.replaceAll(/\s+/g, " ")}\n`);
    } finally {
      running.delete(name);
    }
  };
  const start = (name: string, path: string) => void running.set(name, one(name, path).then(look, look));

  /** Histories first, as the server itself does. */
  const readyNames = async (): Promise<string[]> => {
    if (wal === undefined) return [];
    const names = await readdir(join(wal, "archive_status")).catch((error: unknown) => {
      if (codeOf(error) === "ENOENT") return [];
      throw error;
    });
    const ready = names.filter((name) => name.endsWith(".ready")).map((name) => name.slice(0, -".ready".length));
    const rank = (name: string) => (name.endsWith(".history") ? `0${name}` : `1${name}`);
    return ready.filter((name) => parseWalName(name) !== undefined).sort((a, b) => (rank(a) < rank(b) ? -1 : 1));
  };

  const lookOnce = async () => {
    for (const name of await readdir(at(PUSH_PLACES.asked))) {
      const path = (await readFile(at(PUSH_PLACES.asked, name), "utf8")).trim();
      // Its writer has made the file, and not filled it yet.
      if (path === "") continue;
      await rm(at(PUSH_PLACES.asked, name), { force: true });
      wal = basename(dirname(path)) === "pg_wal" ? dirname(path) : wal;
      // Pushed just before it was asked for; or the answer was taken by one who died with it.
      if (pushed.has(name)) {
        await put(join(PUSH_PLACES.done, name), "");
        continue;
      }
      asked.set(name, path);
      if (!running.has(name)) start(name, path);
    }
    const ready = await readyNames();
    for (const name of pushed) if (!ready.includes(name)) pushed.delete(name);
    for (const name of ready.slice(0, ahead)) {
      if (running.size >= atOnce || wal === undefined) return;
      if (!pushed.has(name) && !running.has(name)) start(name, join(wal, name));
    }
  };
  let looking: Promise<void> | undefined;
  let again = false;
  function look(): void {
    again = true;
    if (looking !== undefined || closed) return;
    const loop = async () => {
      while (again && !closed) {
        again = false;
        await lookOnce();
      }
    };
    looking = loop()
      .catch((error: unknown) => failed("the hand-over", error))
      .finally(() => {
        looking = undefined;
      });
  }

  let beats = 0;
  const beating = setInterval(() => {
    beats += 1;
    put("beat", `${beats}\n`).catch((error: unknown) => failed("the beat", error));
  }, BEAT_MS);
  const timer = setInterval(look, LOOK_MS);
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(at(PUSH_PLACES.asked), look);
    watcher.on("error", () => watcher?.close());
  } catch {
    // Where the system gives no more watches, the timer looks.
  }
  return {
    async [Symbol.asyncDispose]() {
      closed = true;
      watcher?.close();
      clearInterval(timer);
      clearInterval(beating);
      await Promise.all([looking, ...running.values()]);
      await rm(directory, { recursive: true, force: true });
    },
  };
}
