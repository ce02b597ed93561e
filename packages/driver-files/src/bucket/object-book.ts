import { DatabaseSync } from "node:sqlite";
import type { ListedObject } from "./list-bucket.ts";
import { aboveFinder, objectPath } from "./object-path.ts";

/** What was read of an object, and where it is held until it is sent. */
export type HeldObject = {
  path: string;
  version: string;
  etag: string;
  size: number;
  /** As it was listed; -1 where it was in another state when it was read, and must be read again. */
  modifiedMs: number;
  sha256: string;
  steady: boolean;
  /** `earlier`: not yet in this capture, but the base of the point before has it. */
  at: "earlier" | "base" | "spool" | "finish";
  /** The object's own headers. */
  headers: string;
  /** Its file in the spool. */
  file?: string | undefined;
};
export type BookedObject = ListedObject & { path: string };
export type HeldRow = BookedObject & { held: HeldObject | undefined };

const PAGE = 1_000;
const FIELDS = "key, version, etag, size, modified_ms as modifiedMs, latest, deleted, path";
const UNREAD = `deleted = 0 and (held_at is null or held_at in ('finish', 'earlier') or held_path <> path or held_etag <> etag
  or held_size <> size or held_modified_ms <> modified_ms)`;

/**
 * What a capture knows of a bucket, on disk: what the last look found, and what was read of it. Memory stays the same
 * whatever the bucket holds.
 */
export function objectBook(file: string, options: { prefix: string; top: string; everyVersion: boolean }) {
  const database = new DatabaseSync(file);
  database.exec(`
    pragma journal_mode = off;
    pragma synchronous = off;
    create table object (
      key text not null, slot text not null, version text not null, etag text not null, size integer not null,
      modified_ms integer not null, latest integer not null, deleted integer not null, path text not null,
      look integer not null, moved integer not null, held_at text, held_path text, held_etag text, held_size integer, held_modified_ms integer,
      held text, primary key (key, slot)) without rowid;
    create table sent (path text primary key) without rowid;
  `);
  const put = database.prepare(`
    insert into object (key, slot, version, etag, size, modified_ms, latest, deleted, path, look, moved)
    values (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
    on conflict do update set version = case when etag = excluded.etag and modified_ms = excluded.modified_ms
      and excluded.version = '' then version else excluded.version end,
      moved = case when etag = excluded.etag and modified_ms = excluded.modified_ms and size = excluded.size
        and latest = excluded.latest and deleted = excluded.deleted then moved else excluded.look end,
      etag = excluded.etag, size = excluded.size,
      modified_ms = excluded.modified_ms, latest = excluded.latest, deleted = excluded.deleted, look = excluded.look`);
  const hold = database.prepare(
    `update object set held_at = ?, held_path = ?, held_etag = ?, held_size = ?, held_modified_ms = ?, held = ?
     where key = ? and slot = ?`,
  );
  const know = database.prepare(
    `update object set held_at = 'earlier', held = ?
     where key = ? and slot = ? and path = ? and etag = ? and size = ? and modified_ms = ? and deleted = 0`,
  );
  const setVersion = database.prepare("update object set version = ? where key = ? and slot = ?");
  const setPath = database.prepare("update object set path = ? where key = ? and slot = ?");
  const send = database.prepare("insert or ignore into sent values (?)");
  const slotOf = (version: string) => (options.everyVersion ? version : "");
  const keyOf = (key: string) => key.slice(options.prefix.length);
  let look = 0;

  function inOne<Result>(work: () => Result): Result {
    database.exec("begin");
    const result = work();
    database.exec("commit");
    return result;
  }

  /** In the order of the keys' bytes, a page at a time: who reads them may change them. */
  function* rows(where: string): Generator<HeldRow> {
    const select = database.prepare(
      `select ${FIELDS}, slot, held from object where ${where} and (key, slot) > (?, ?) order by key, slot limit ${PAGE}`,
    );
    let [key, slot] = ["", ""];
    for (let first = true; ; first = false) {
      // The first key may be the empty one, where the prefix itself is an object.
      const page = first
        ? database
            .prepare(`select ${FIELDS}, slot, held from object where ${where} order by key, slot limit ${PAGE}`)
            .all()
        : select.all(key, slot);
      for (const row of page) {
        yield {
          key: String(row.key),
          version: String(row.version),
          etag: String(row.etag),
          size: Number(row.size),
          modifiedMs: Number(row.modifiedMs),
          latest: row.latest === 1,
          deleted: row.deleted === 1,
          path: String(row.path),
          held: row.held === null ? undefined : (JSON.parse(String(row.held)) as HeldObject), // written by this book
        };
      }
      const last = page.at(-1);
      if (page.length < PAGE || last === undefined) return;
      [key, slot] = [String(last.key), String(last.slot)];
    }
  }

  function place(): void {
    const isBelowAnother = aboveFinder();
    let moved: (() => void)[] = [];
    for (const row of rows("1 = 1")) {
      const key = keyOf(row.key);
      const belowAnother = row.latest && !row.deleted && isBelowAnother(key);
      const path = objectPath(options.top, { key, version: row.version, latest: row.latest, belowAnother });
      if (path !== row.path) moved.push(() => setPath.run(path, row.key, slotOf(row.version)));
      if (moved.length === PAGE) moved = applied(moved);
    }
    applied(moved);
  }

  function applied(changes: (() => void)[]): [] {
    inOne(() => {
      for (const change of changes) change();
    });
    return [];
  }

  return {
    /** Takes a whole look in, a page at a time; `finishLook` then forgets what it did not find. */
    beginLook(): void {
      look += 1;
    },
    add(page: readonly ListedObject[]): void {
      inOne(() => {
        for (const each of page) {
          const { key, version, etag, size, modifiedMs, latest, deleted } = each;
          const path = objectPath(options.top, { key: keyOf(key), version, latest, belowAnother: false });
          put.run(
            key,
            slotOf(version),
            version,
            etag,
            size,
            modifiedMs,
            Number(latest),
            Number(deleted),
            path,
            look,
            look,
          );
        }
      });
    },
    /** Some of the keys that are otherwise than at the look before: new, changed, gone. */
    finishLook(): string[] {
      const moved = database
        .prepare("select key from object where (look = ?1) = (moved = ?1) order by key limit 5")
        .all({ 1: look });
      database.prepare("delete from object where look < ?").run(look);
      place();
      return moved.map(({ key }) => String(key));
    },
    count: () => Number(database.prepare("select count(*) as n from object where deleted = 0").get()?.n ?? 0),
    unread: () => rows(UNREAD),
    all: () => rows("1 = 1"),
    present: () => rows("deleted = 0"),
    spooled: () => rows(`held_at = 'spool' and not (${UNREAD})`),
    hold({ key, version }: BookedObject, held: HeldObject): void {
      hold.run(held.at, held.path, held.etag, held.size, held.modifiedMs, JSON.stringify(held), key, slotOf(version));
      if (held.version !== version && !options.everyVersion) setVersion.run(held.version, key, slotOf(version));
    },
    /** What the point before says that its base has. What is listed otherwise by now is read. */
    know(known: readonly { key: string; held: HeldObject }[]): void {
      inOne(() => {
        for (const { key, held } of known) {
          const { version, path, etag, size, modifiedMs } = held;
          know.run(JSON.stringify(held), key, slotOf(version), path, etag, size, modifiedMs);
        }
      });
    },
    /** By this version it is found, whatever is written over it. */
    pin: ({ key, version: before }: BookedObject, version: string) => void setVersion.run(version, key, slotOf(before)),
    forget: ({ key, version }: BookedObject) =>
      void database.prepare("delete from object where key = ? and slot = ?").run(key, slotOf(version)),
    /** The base holds this path now. */
    sent: (path: string) => void send.run(path),
    /** Paths of the base at which nothing is now. */
    gone: () =>
      database
        .prepare("select path from sent where path not in (select path from object where deleted = 0)")
        .all()
        .map(({ path }) => String(path)),
    /** A new base begins: nothing has been sent or read. */
    clear: () => database.exec("delete from sent; update object set held_at = null, held = null, held_path = null"),
    [Symbol.dispose]: () => database.close(),
  };
}
export type ObjectBook = ReturnType<typeof objectBook>;
