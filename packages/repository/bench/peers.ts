import { execFile } from "node:child_process";
import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** Another backup tool, run on the same data. `repository` and `cache` are directories of its own. */
export type Peer = {
  name: string;
  init: (at: PeerPlace) => Promise<void>;
  backup: (at: PeerPlace, root: string) => Promise<void>;
  /** Restores the newest backup into a directory. */
  restore: (at: PeerPlace, target: string) => Promise<void>;
};
export type PeerPlace = { repository: string; cache: string };

const SECRET = "a passphrase of the benchmark";

async function call(command: string, args: string[], env: Record<string, string>, cwd?: string): Promise<string> {
  const options = {
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
    ...(cwd === undefined ? {} : { cwd }),
  };
  return (await run(command, args, options)).stdout;
}

/** The first line that a program says about itself, or undefined where it is not installed. */
async function versionOf(command: string, args: string[]): Promise<string | undefined> {
  try {
    return (await call(command, args, {})).split("\n")[0];
  } catch {
    return undefined; // not on PATH, or it does not run here: then it is no peer
  }
}

function restic(version: string): Peer {
  const env = ({ repository, cache }: PeerPlace) => ({
    RESTIC_REPOSITORY: repository,
    RESTIC_PASSWORD: SECRET,
    RESTIC_CACHE_DIR: cache,
  });
  return {
    name: `restic ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => void (await call("restic", ["init", "-q"], env(at))),
    backup: async (at, root) => void (await call("restic", ["backup", "-q", "."], env(at), root)),
    restore: async (at, target) =>
      void (await call("restic", ["restore", "latest", "-q", "--target", target], env(at))),
  };
}

function kopia(version: string): Peer {
  const env = ({ cache }: PeerPlace) => ({
    KOPIA_PASSWORD: SECRET,
    KOPIA_CONFIG_PATH: join(cache, "kopia.config"),
    KOPIA_CACHE_DIRECTORY: cache,
    KOPIA_LOG_DIR: cache,
    KOPIA_CHECK_FOR_UPDATES: "false",
  });
  return {
    name: `kopia ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => {
      await call("kopia", ["repository", "create", "filesystem", "--path", at.repository], env(at));
      await call("kopia", ["policy", "set", "--global", "--compression=zstd-fastest"], env(at));
    },
    backup: async (at, root) => void (await call("kopia", ["snapshot", "create", root, "--no-progress"], env(at))),
    restore: async (at, target) => {
      const listed = JSON.parse(await call("kopia", ["snapshot", "list", "--json"], env(at))) as { id: string }[];
      await call("kopia", ["restore", listed.at(-1)?.id ?? "", target], env(at));
    },
  };
}

function borg(version: string): Peer {
  const env = ({ cache }: PeerPlace) => ({ BORG_PASSPHRASE: SECRET, BORG_BASE_DIR: cache });
  let made = 0;
  return {
    name: `borg ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => void (await call("borg", ["init", "-e", "repokey-blake2", at.repository], env(at))),
    backup: async (at, root) =>
      void (await call("borg", ["create", "-C", "zstd,1", `${at.repository}::b${++made}`, "."], env(at), root)),
    restore: async (at, target) =>
      void (await call("borg", ["extract", `${at.repository}::b${made}`], env(at), target)),
  };
}

/** Those of restic, kopia and borg that are on PATH. */
export async function peersHere(): Promise<Peer[]> {
  const [resticSays, kopiaSays, borgSays] = await Promise.all([
    versionOf("restic", ["version"]),
    versionOf("kopia", ["--version"]),
    versionOf("borg", ["--version"]),
  ]);
  return [
    ...(resticSays === undefined ? [] : [restic(resticSays)]),
    ...(kopiaSays === undefined ? [] : [kopia(`kopia ${kopiaSays}`)]),
    ...(borgSays === undefined ? [] : [borg(borgSays)]),
  ];
}

export async function directoryBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}
