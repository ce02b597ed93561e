import { execFile } from "node:child_process";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { Runtime } from "@stillpoint/contracts/point";
import { majorOf } from "./requirements.ts";
import { CARRIED_SETTINGS, type ServerFacts } from "./server-facts.ts";

/** Glibc and musl sort text differently, so an index of one is wrong under the other. */
export type Libc = "glibc" | "musl" | "other";

export function runtimeId(major: number, libc: Libc): string {
  return `pg${major}-${libc}`;
}

/** What the source says of itself: `PostgreSQL 15.18 (…) on x86_64-pc-linux-gnu, compiled by …`. */
export function runtimeOf(facts: ServerFacts, versionNumber: number, extensions: readonly string[]): Runtime {
  const [, arch = "unknown", system = ""] = / on ([^-, ]+)-([^, ]+)/.exec(facts.version) ?? [];
  const libc: Libc = system.includes("linux-gnu") ? "glibc" : system.includes("musl") ? "musl" : "other";
  const { settings } = facts;
  const kept = [
    "block_size",
    "wal_block_size",
    "segment_size",
    "wal_segment_size",
    "data_checksums",
    "server_encoding",
  ];
  return {
    id: runtimeId(majorOf(versionNumber), libc),
    version: settings.server_version ?? facts.version,
    arch,
    libc: facts.libcVersion === null ? libc : `${libc} ${facts.libcVersion}`,
    ...(facts.icuVersion === null ? {} : { icu: facts.icuVersion }),
    extensions: [...extensions],
    settings: { ...pick(settings, [...kept, ...CARRIED_SETTINGS]), collation: facts.collation },
  };
}

export function pick(settings: Record<string, string>, names: readonly string[]): Record<string, string> {
  return Object.fromEntries(Object.entries(settings).filter(([name]) => names.includes(name)));
}

/** The libc that a server's program was linked with, by the loader that its head names. */
export async function libcOfProgram(bin: string): Promise<Libc> {
  await using file = await open(join(bin, "postgres"));
  const head = Buffer.alloc(16_384);
  await file.read(head, 0, head.length, 0);
  if (head.includes("ld-musl")) return "musl";
  return head.includes("ld-linux") || head.includes("ld64.so") ? "glibc" : "other";
}

/** What `postgres --version` says; undefined where the program is not. */
export async function programVersion(bin: string): Promise<{ major: number; version: string } | undefined> {
  try {
    const { stdout } = await promisify(execFile)(join(bin, "postgres"), ["--version"]);
    const version = /\(PostgreSQL\) (\d+)\S*/.exec(stdout);
    return version === null
      ? undefined
      : { major: Number(version[1]), version: version[0].replace("(PostgreSQL) ", "") };
  } catch (error) {
    if (error instanceof Error && "code" in error && error.code === "ENOENT") return undefined;
    throw error;
  }
}
