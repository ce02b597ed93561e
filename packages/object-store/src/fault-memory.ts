import type { ObjectInfo } from "./object-store.ts";

/** An object as readers saw it before a write; undefined where there was none. */
export type Before = { info: ObjectInfo; bytes: Uint8Array } | undefined;

/** What listings and readers may still be shown: how it was before the last writes. */
export function faultMemory() {
  const writes: { name: string; before: Before }[] = [];
  const late = new Map<string, { before: Before; calls: number }>();

  return {
    wrote(name: string, before: Before): void {
      writes.push({ name, before });
    },
    hide(name: string, before: Before, calls: number): void {
      late.set(name, { before, calls });
    },
    /** One more call that reads: what was late for long enough shows. */
    pass(): void {
      for (const [name, entry] of late) if (entry.calls-- <= 0) late.delete(name);
    },
    late: (name: string) => late.get(name),
    /** Names that are shown as they were, for a listing: what is late, and the last writes where it is an old one. */
    past(oldWrites: number): Map<string, Before> {
      const past = new Map<string, Before>([...late].map(([name, { before }]) => [name, before]));
      for (const { name, before } of writes.slice(Math.max(0, writes.length - oldWrites)).reverse())
        past.set(name, before);
      return past;
    },
  };
}

/** A listing in which some names are shown as they were. */
export function listingOf(
  now: readonly ObjectInfo[],
  past: ReadonlyMap<string, Before>,
  prefix: string,
  after: string,
): ObjectInfo[] {
  const old = [...past.values()].flatMap((before) => (before === undefined ? [] : [before.info]));
  return [...now.filter(({ name }) => !past.has(name)), ...old]
    .filter(({ name }) => name.startsWith(prefix) && name > after)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
}
