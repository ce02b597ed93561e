import type { DatabaseSync, StatementSync } from "node:sqlite";
import { isChunkType } from "../format/chunk-type.ts";
import type { IndexedPack } from "../format/index-format.ts";
import { objectName } from "../format/kinds.ts";
import type { ChunkIndex, ChunkLocation } from "./chunk-index.ts";

/** What the loader asks beside what everybody may ask. */
export interface StoredChunkIndex extends ChunkIndex {
  /** The object is gone from the repository: what it alone listed, or alone replaced, goes too. */
  unlist(object: string): void;
  /** Packs that were to be stored, are in no index object that was read, and that nobody in this process stores now. */
  expected(): string[];
  isExpectedHere(packId: string): boolean;
  /** An expected pack that never came. */
  giveUp(packId: string): void;
  /** A number that is kept under a name, and is set where one is given. */
  note(key: string, value?: number): number | undefined;
  /** Takes the chunks of packs that went out of the file, a part at each step. Nothing to do while they are few. */
  sweep(): Generator<void>;
}

/** Takes a chunk's place while records are gathered for a sorted insert; absent, it is inserted at once. */
export type RecordSink = (pack: number, entries: IndexedPack["entries"]) => void;

/** Fewer than these, or less than a quarter of all, are not worth the walk through the file. */
const DEAD_CHUNKS = 100_000;

const idOf = (packId: string) => Buffer.from(packId, "hex");

function toLocation(row: unknown): ChunkLocation | undefined {
  if (!Array.isArray(row)) return undefined;
  const [id, epoch, position, offset, length, type] = row;
  if (!(id instanceof Uint8Array) || !isChunkType(type)) return undefined;
  const packId = Buffer.from(id.buffer, id.byteOffset, id.length).toString("hex");
  return { packId, epoch, position, offset, length, type };
}

/** The chunk index in a database whose tables are there (chunk-database.ts). The caller closes it. */
export function storedChunkIndex(database: DatabaseSync, gather?: RecordSink): StoredChunkIndex {
  // Prepared when it is first asked: most open an index for few questions, and all of these take a millisecond.
  const rows = (sql: string) => {
    let prepared: StatementSync | undefined;
    return () => {
      if (prepared === undefined) {
        prepared = database.prepare(sql);
        prepared.setReturnArrays(true);
      }
      return prepared;
    };
  };
  const find = rows(`select p.id, p.epoch, c.position, c.offset, c.length, c.type
    from chunks c join packs p on p.number = c.pack where c.name = ?`);
  const packLength = rows("select length from packs where id = ?");
  const packCount = rows("select count(*) from packs");
  const packChunks = rows("select chunks from packs where id = ?");
  const objectsOf = rows(`select o.name from listed l join objects o on o.number = l.object
    where l.pack = (select number from packs where id = ?) and o.by is null`);
  const packNumber = rows("select number from packs where id = ?");
  const newPack = rows("insert into packs (id, epoch, length, chunks) values (?, ?, ?, ?) returning number");
  const newChunk = rows("insert or ignore into chunks values (?, ?, ?, ?, ?, ?)");
  const list = rows("insert or ignore into listed values (?, ?)");
  const object = rows("select number, by from objects where name = ?");
  const newObject = rows("insert into objects (name, by) values (?, ?) returning number");
  const supersede = rows("update objects set by = ? where number = ?");
  const live = rows("select name from objects where by is null");
  const listedBy = rows("select pack from listed where object = ?");
  const unlistPack = rows("delete from listed where pack = ?");
  const unlist = rows("delete from listed where object = ?");
  const dropObject = rows(`delete from objects where number in (
    with recursive gone (number) as (select ? union select o.number from objects o join gone on o.by = gone.number)
    select number from gone)`);
  const dropPack = rows(`delete from packs where number = ? and number not in (select pack from listed where pack = ?)
    returning chunks`);
  const newExpected = rows("insert or ignore into expected values (?)");
  const arrived = rows("delete from expected where pack = ?");
  const expected = rows("select pack from expected where pack not in (select id from packs)");
  const deleteDead = rows("delete from chunks where name >= ? and name < ? and pack not in (select number from packs)");
  const state = rows("select value from state where key = ?");
  const setState = rows("insert or replace into state values (?, ?)");
  const count = rows("update state set value = value + ? where key = ?");

  const numberOf = (value: unknown): number | undefined =>
    Array.isArray(value) && typeof value[0] === "number" ? value[0] : undefined;

  let condemned: ReadonlySet<string> = new Set();
  /** Packs that this process stores now. */
  const here = new Set<string>();

  /** Those that are in no condemned pack first. */
  function places(name: Uint8Array): ChunkLocation[] {
    const all = find()
      .all(name)
      .flatMap((row) => toLocation(row) ?? []);
    return all.sort((a, b) => Number(condemned.has(a.packId)) - Number(condemned.has(b.packId)));
  }

  /** A place in a pack that is not condemned. */
  function sound(name: Uint8Array): ChunkLocation | undefined {
    return places(name).find(({ packId }) => !condemned.has(packId));
  }

  function atOnce(work: () => void): void {
    database.exec("begin immediate");
    try {
      work();
      database.exec("commit");
    } catch (error) {
      if (database.isTransaction) database.exec("rollback");
      throw error;
    }
  }

  function addPack(by: number, { packId, epoch, length, entries }: IndexedPack): number {
    const id = idOf(packId);
    arrived().run(id);
    here.delete(packId);
    const there = numberOf(packNumber().get(id));
    if (there !== undefined) {
      list().run(by, there);
      return 0;
    }
    const number = numberOf(newPack().get(id, epoch, length, entries.length)) ?? 0;
    list().run(by, number);
    if (gather !== undefined) gather(number, entries);
    else
      entries.forEach(({ name, type, offset, length: sealed }, position) => {
        newChunk().run(name, number, position, offset, sealed, type);
      });
    return entries.length;
  }

  /** A pack that an object still lists stays. */
  function dropPackOf(number: number): void {
    const chunks = numberOf(dropPack().get(number, number));
    if (chunks === undefined) return;
    count().run(chunks, "dead");
    count().run(-chunks, "chunks");
  }

  /** Packs that no other object lists go with it. */
  function dropListing(of: number): void {
    const packs = listedBy().all(of).map(numberOf);
    unlist().run(of);
    for (const pack of packs) if (pack !== undefined) dropPackOf(pack);
  }

  /** What the replaced one listed is listed by the other too, or is meant to go. */
  function replace(name: string, by: number): void {
    const there = numberOf(object().get(name));
    if (there === undefined) newObject().run(name, by);
    else {
      dropListing(there);
      supersede().run(by, there);
    }
  }

  return {
    get chunks() {
      return numberOf(state().get("chunks")) ?? 0;
    },
    get packs() {
      return numberOf(packCount().get()) ?? 0;
    },
    locate(name) {
      const first = toLocation(find().get(name));
      return first !== undefined && condemned.has(first.packId) ? (sound(name) ?? first) : first;
    },
    places,
    leanOn(name) {
      const first = toLocation(find().get(name));
      return first !== undefined && condemned.has(first.packId) ? sound(name) : first;
    },
    condemn(packs) {
      condemned = packs;
    },
    isCondemned: (packId) => condemned.has(packId),
    forget(packIds) {
      atOnce(() => {
        for (const packId of packIds) {
          const number = numberOf(packNumber().get(idOf(packId)));
          if (number === undefined) continue;
          unlistPack().run(number);
          dropPackOf(number);
        }
      });
    },
    chunksIn: (packId) => numberOf(packChunks().get(idOf(packId))) ?? 0,
    objectsOf: (packId) =>
      objectsOf()
        .all(idOf(packId))
        .map((row) => String(Array.isArray(row) ? row[0] : "")),
    packLength: (packId) => numberOf(packLength().get(idOf(packId))),
    *packIds() {
      for (const row of rows("select id from packs order by number")().iterate())
        if (Array.isArray(row)) yield Buffer.from(row[0] as unknown as Uint8Array).toString("hex"); // the column is a blob
    },
    add(name, { supersedes, packs }) {
      atOnce(() => {
        // Another process has read it, or it was replaced meanwhile.
        if (object().get(name) !== undefined) return;
        const number = numberOf(newObject().get(name, null)) ?? 0;
        let chunks = 0;
        for (const pack of packs) chunks += addPack(number, pack);
        count().run(chunks, "chunks");
        for (const id of supersedes) replace(objectName("index", id), number);
      });
    },
    knows: (name) => object().get(name) !== undefined,
    objects: () =>
      live()
        .all()
        .map((row) => String(Array.isArray(row) ? row[0] : "")),
    unlist(name) {
      atOnce(() => {
        const number = numberOf(object().get(name));
        if (number === undefined) return;
        dropListing(number);
        dropObject().run(number);
      });
    },
    expect: (packId) => {
      here.add(packId);
      newExpected().run(idOf(packId));
    },
    release(packIds) {
      for (const packId of packIds) here.delete(packId);
    },
    isExpectedHere: (packId) => here.has(packId),
    expected: () =>
      expected()
        .all()
        .map((row) => Buffer.from(Array.isArray(row) ? (row[0] as unknown as Uint8Array) : []).toString("hex"))
        .filter((packId) => !here.has(packId)),
    giveUp: (packId) => {
      arrived().run(idOf(packId));
    },
    *sweep() {
      const [dead = 0, chunks = 0] = [numberOf(state().get("dead")), numberOf(state().get("chunks"))];
      if (dead < DEAD_CHUNKS || dead < chunks / 4) return;
      setState().run("dead", 0);
      for (let part = 0; part < 256; part++) {
        deleteDead().run(Buffer.from([part]), part === 255 ? Buffer.alloc(33, 255) : Buffer.from([part + 1]));
        yield;
      }
    },
    note(key, value) {
      if (value !== undefined) setState().run(key, value);
      return numberOf(state().get(key));
    },
  };
}
