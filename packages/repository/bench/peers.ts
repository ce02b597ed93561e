import { execFile } from "node:child_process";
import { readdir, stat, truncate } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";

const run = promisify(execFile);

/** CPU time of a program that ran, user and system. */
export type Cpu = { cpuMs: number };

/** Another backup tool, run on the same data. `repository` and `cache` are directories of its own. */
export type Peer = {
  name: string;
  init: (at: PeerPlace) => Promise<void>;
  backup: (at: PeerPlace, root: string) => Promise<Cpu>;
  /** Restores the newest backup into a directory. */
  restore: (at: PeerPlace, target: string) => Promise<Cpu>;
};
/** An S3 bucket for those that can use one. */
export type PeerBucket = {
  endpoint: string;
  bucket: string;
  region: string;
  accessKeyId: string;
  secretAccessKey: string;
};
export type PeerPlace = { repository: string; cache: string; bucket?: PeerBucket };

const SECRET = "a passphrase of the benchmark";

type Environment = Record<string, string>;

async function call(command: string, args: string[], env: Environment, cwd?: string): Promise<string> {
  const options = {
    env: { ...process.env, ...env },
    maxBuffer: 64 * 1024 * 1024,
    ...(cwd === undefined ? {} : { cwd }),
  };
  return (await run(command, args, options)).stdout;
}

/** Node does not tell what its children cost; a shell does: its `times` prints their minutes and seconds, user and system. */
async function measuredCall(command: string, args: string[], env: Environment, cwd?: string): Promise<Cpu> {
  const script = '"$@" >&2 || exit $?; times';
  const lines = (await call("bash", ["-c", script, "bash", command, ...args], env, cwd)).trim().split("\n");
  const [user = 0, system = 0] = [...(lines[1] ?? "").matchAll(/(\d+)m([\d.]+)s/g)].map(
    ([, minutes, seconds]) => Number(minutes) * 60_000 + Number(seconds) * 1000,
  );
  return { cpuMs: user + system };
}

/** The first line that a program says about itself, or undefined where it is not installed. */
async function versionOf(command: string, args: string[]): Promise<string | undefined> {
  try {
    return (await call(command, args, {})).split("\n")[0];
  } catch {
    return undefined; // not on PATH, or it does not run here: then it is no peer
  }
}

const awsOf = (bucket: PeerBucket | undefined): Environment =>
  bucket === undefined
    ? {}
    : {
        AWS_ACCESS_KEY_ID: bucket.accessKeyId,
        AWS_SECRET_ACCESS_KEY: bucket.secretAccessKey,
        AWS_REGION: bucket.region,
      };

function restic(version: string): Peer {
  const env = ({ repository, cache, bucket }: PeerPlace): Environment => ({
    ...awsOf(bucket),
    RESTIC_REPOSITORY: bucket === undefined ? repository : `s3:${bucket.endpoint}/${bucket.bucket}/restic`,
    RESTIC_PASSWORD: SECRET,
    RESTIC_CACHE_DIR: cache,
  });
  return {
    name: `restic ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => void (await call("restic", ["init", "-q"], env(at))),
    backup: (at, root) => measuredCall("restic", ["backup", "-q", "."], env(at), root),
    restore: (at, target) => measuredCall("restic", ["restore", "latest", "-q", "--target", target], env(at)),
  };
}

function kopia(version: string): Peer {
  const env = ({ cache, bucket }: PeerPlace): Environment => ({
    ...awsOf(bucket),
    KOPIA_PASSWORD: SECRET,
    KOPIA_CONFIG_PATH: join(cache, "kopia.config"),
    KOPIA_CACHE_DIRECTORY: cache,
    KOPIA_LOG_DIR: cache,
    KOPIA_CHECK_FOR_UPDATES: "false",
  });
  return {
    name: `kopia ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => {
      const s3 = at.bucket && ["s3", "--disable-tls", `--endpoint=${new URL(at.bucket.endpoint).host}`];
      const where = s3
        ? [...s3, `--bucket=${at.bucket?.bucket}`, "--prefix=kopia/"]
        : ["filesystem", "--path", at.repository];
      await call("kopia", ["repository", "create", ...where], env(at));
      await call("kopia", ["policy", "set", "--global", "--compression=zstd-fastest"], env(at));
    },
    backup: (at, root) => measuredCall("kopia", ["snapshot", "create", root, "--no-progress"], env(at)),
    restore: async (at, target) => {
      const listed = JSON.parse(await call("kopia", ["snapshot", "list", "--json"], env(at))) as { id: string }[];
      return await measuredCall("kopia", ["restore", listed.at(-1)?.id ?? "", target], env(at));
    },
  };
}

function borg(version: string): Peer {
  const env = ({ cache }: PeerPlace) => ({ BORG_PASSPHRASE: SECRET, BORG_BASE_DIR: cache });
  let made = 0;
  return {
    name: `borg ${/\d[\d.]*/.exec(version)?.[0]}`,
    init: async (at) => void (await call("borg", ["init", "-e", "repokey-blake2", at.repository], env(at))),
    backup: (at, root) =>
      measuredCall("borg", ["create", "-C", "zstd,1", `${at.repository}::b${++made}`, "."], env(at), root),
    restore: (at, target) => measuredCall("borg", ["extract", `${at.repository}::b${made}`], env(at), target),
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

/**
 * Gives the disk and memory of a tree back, and leaves its files' names. A file system may look at everything deleted within
 * the last minutes for each file that it makes (ext4 does): whoever is measured next would pay for it.
 */
export async function emptyFiles(path: string): Promise<void> {
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) await truncate(join(entry.parentPath, entry.name));
}

export async function directoryBytes(path: string): Promise<number> {
  let bytes = 0;
  for (const entry of await readdir(path, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) bytes += (await stat(join(entry.parentPath, entry.name))).size;
  return bytes;
}
