import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { LogPosition } from "@stillpoint/contracts/log";
import { codeOf } from "@stillpoint/driver/disk-error";
import { type FramesHead, type LookHead, type PagesHead, type RecordHead, readHeads } from "./ship-record.ts";
import { SHIPPED_DIRECTORY } from "./shipped-files.ts";
import { isSameGeneration, type WalAddress } from "./wal-address.ts";

/** Until when a log is to be replayed. `moment`: of the wall clock, in ms since the epoch. */
export type ShippedTarget = { moment: number } | { position: LogPosition } | "newest";

/** The files of a shipped log below a directory, in the order of one stream's positions. */
export async function shippedFiles(directory: string): Promise<string[]> {
  try {
    const names = await readdir(join(directory, SHIPPED_DIRECTORY));
    return names.sort().map((name) => join(directory, SHIPPED_DIRECTORY, name));
  } catch (error) {
    if (codeOf(error) === "ENOENT") return [];
    throw error;
  }
}

/** What was shipped of a database: where its head says what it is, and where its body begins. */
export type ShippedAt<Head = FramesHead | PagesHead> = { head: Head; path: string; at: number; file: FileHandle };

/** What was shipped of databases in the given files, in order, but for so many records at the beginning. */
export async function* shippedIn(paths: readonly string[], skip: number): AsyncGenerator<ShippedAt> {
  let records = 0;
  for (const path of paths) {
    await using file = await open(path, "r");
    for await (const { head, at } of readHeads(file, path)) {
      records += 1;
      if (records > skip && head.is !== "look") yield { head, path, at, file };
    }
  }
}

/** Each record, and how many there are up to it. */
async function* headsIn(paths: readonly string[]): AsyncGenerator<{ head: RecordHead; records: number }> {
  let records = 0;
  for (const path of paths) {
    await using file = await open(path, "r");
    for await (const { head } of readHeads(file, path)) {
      records += 1;
      yield { head, records };
    }
  }
}

/** Generations of one database's log in the order in which they came: which of two places is the later one. */
export class Generations {
  readonly #known: WalAddress[] = [];

  met(address: WalAddress): void {
    if (this.#indexOf(address) === -1) this.#known.push(address);
  }

  /** Below zero: `a` is the earlier. A generation that never came is earlier than all that did. */
  compare(a: WalAddress, b: WalAddress): number {
    return this.#indexOf(a) - this.#indexOf(b) || a.frames - b.frames;
  }

  #indexOf(address: WalAddress): number {
    return this.#known.findIndex((each) => isSameGeneration(each, address));
  }
}

export type LogState = {
  /** So many records at the beginning are older than the base. */
  skip: number;
  /** The last look that counts; absent: none does. */
  look?: LookHead;
  /** The first look that does not count any more. */
  next?: LookHead;
  ends: ReadonlyMap<string, WalAddress>;
  gone: ReadonlySet<string>;
  generations: ReadonlyMap<string, Generations>;
};

/** Where each database stood at the last look that a target lets count. `from`: what lies before it is in the base. */
export async function stateAt(paths: readonly string[], from: LogPosition, target: ShippedTarget): Promise<LogState> {
  let skip = 0;
  const ends = new Map<string, WalAddress>();
  const gone = new Set<string>();
  const generations = new Map<string, Generations>();
  const meet = (name: string, address: WalAddress) => {
    const met = generations.get(name) ?? new Generations();
    met.met(address);
    generations.set(name, met);
  };
  let [last, next]: (LookHead | undefined)[] = [];
  for await (const { head, records } of headsIn(paths)) {
    if (head.is === "pages") for (const place of [head.from, ...head.ends, head.to]) meet(head.name, place);
    if (head.is !== "look") continue;
    const look = head;
    if (look.position.stream === from.stream && look.position.at <= from.at) {
      skip = records;
      for (const known of [ends, gone, generations]) known.clear();
      continue;
    }
    if (next === undefined && !counts(look, target)) next = look;
    for (const { name, address } of look.databases) {
      meet(name, address);
      if (next !== undefined) continue;
      gone.delete(name);
      // An emptied log: what it held before stays what was shipped last.
      if (address.frames > 0) ends.set(name, address);
    }
    if (next !== undefined) continue;
    last = look;
    for (const name of look.gone) {
      ends.delete(name);
      gone.add(name);
    }
  }
  return { skip, ...(last && { look: last }), ...(next && { next }), ends, gone, generations };
}

function counts(look: LookHead, target: ShippedTarget): boolean {
  if (target === "newest") return true;
  if ("moment" in target) return look.endedAt <= target.moment;
  const { stream, at } = look.position;
  return stream !== target.position.stream || at <= target.position.at;
}
