import { fsyncSync, openSync, readSync, writeSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { RECORD_LENGTH, recordSorter } from "../src/index/record-sorter.ts";

/** What could keep the chunk index. Records come in any order; a name is the first 32 bytes of a record. */
export type Candidate = {
  add(records: Iterable<Buffer>): void;
  /** Everything is on disk, and can be looked up from now on. */
  finish(): Promise<void>;
  has(name: Uint8Array): boolean;
};
type Opener = (directory: string, cacheBytes: number) => Promise<Candidate>;

const NAME = 32;
const PER_TRANSACTION = 100_000;

function sqliteTable(directory: string, cacheBytes: number) {
  const database = new DatabaseSync(join(directory, "sqlite"));
  database.exec("pragma journal_mode = wal; pragma synchronous = normal; pragma temp_store = file");
  database.exec(`pragma cache_size = -${cacheBytes / 1024}`);
  database.exec(`create table chunks (name blob primary key, pack integer, position integer, offset integer,
    length integer, type integer) strict, without rowid`);
  const insert = database.prepare("insert or ignore into chunks values (?, ?, ?, ?, ?, ?)");
  const find = database.prepare("select pack, position, offset, length, type from chunks where name = ?");
  find.setReturnArrays(true);
  return {
    database,
    put(record: Buffer) {
      const at = (offset: number) => record.readUInt32BE(NAME + offset);
      insert.run(record.subarray(0, NAME), at(9), at(13), at(1), at(5), record[NAME] ?? 0);
    },
    has: (name: Uint8Array) => find.get(name) !== undefined,
  };
}

/** Adds through a sorter, and hands the records over in order when all are there. */
function sorted(directory: string, take: (parts: Iterable<Iterable<Buffer>>) => void) {
  const sorter = recordSorter(join(directory, "spill"));
  return {
    add(records: Iterable<Buffer>) {
      for (const record of records) sorter.add(record);
    },
    async finish() {
      take(sorter.parts());
      sorter[Symbol.dispose]();
    },
  };
}

const sqliteSorted: Opener = async (directory, cacheBytes) => {
  const { database, put, has } = sqliteTable(directory, cacheBytes);
  const take = (parts: Iterable<Iterable<Buffer>>) => {
    for (const part of parts) {
      database.exec("begin");
      for (const record of part) put(record);
      database.exec("commit");
    }
    database.exec("pragma wal_checkpoint(truncate)");
  };
  return { ...sorted(directory, take), has };
};

const sqliteAsTheyCome: Opener = async (directory, cacheBytes) => {
  const { database, put, has } = sqliteTable(directory, cacheBytes);
  let open = 0;
  return {
    add(records) {
      for (const record of records) {
        if (open++ % PER_TRANSACTION === 0) database.exec(open === 1 ? "begin" : "commit; begin");
        put(record);
      }
    },
    async finish() {
      database.exec("commit; pragma wal_checkpoint(truncate)");
    },
    has,
  };
};

/** Only where `npm install --no-save lmdb` was done: the product does not use it. */
const lmdbSorted: Opener = async (directory) => {
  const name: string = "lmdb";
  const { open } = await import(name);
  const database = open({
    path: join(directory, "lmdb"),
    keyEncoding: "binary",
    encoding: "binary",
    mapSize: 16 * 2 ** 30,
    noMemInit: true,
  });
  const take = (parts: Iterable<Iterable<Buffer>>) => {
    for (const part of parts)
      database.transactionSync(() => {
        for (const record of part) database.putSync(record.subarray(0, NAME), Buffer.from(record.subarray(NAME)));
      });
  };
  const { add, finish } = sorted(directory, take);
  return {
    add,
    async finish() {
      await finish();
      await database.flushed;
    },
    has: (key) => database.getBinary(key) !== undefined,
  };
};

const BUCKETS = 65_536;
/** Sorted records in one file, and where each pair of first bytes begins: one read for each look-up. */
const ownRun: Opener = async (directory) => {
  const file = openSync(join(directory, "run"), "w+");
  const begins = new Uint32Array(BUCKETS + 1);
  const page = Buffer.allocUnsafeSlow(2 ** 20);
  const take = (parts: Iterable<Iterable<Buffer>>) => {
    let count = 0;
    let filled = 0;
    for (const part of parts) {
      const records = [...part];
      for (const record of records) {
        while (filled <= record.readUInt16BE(0)) begins[filled++] = count;
        count++;
      }
      writeSync(file, Buffer.concat(records));
    }
    while (filled <= BUCKETS) begins[filled++] = count;
    fsyncSync(file);
  };
  return {
    ...sorted(directory, take),
    has(name) {
      const bucket = ((name[0] ?? 0) << 8) | (name[1] ?? 0);
      const [from = 0, to = 0] = [begins[bucket], begins[bucket + 1]];
      const length = (to - from) * RECORD_LENGTH;
      readSync(file, page, 0, length, from * RECORD_LENGTH);
      for (let at = 0; at < length; at += RECORD_LENGTH)
        if (page.compare(name, 0, NAME, at, at + NAME) === 0) return true;
      return false;
    },
  };
};

export const CANDIDATES = {
  "SQLite, sorted": sqliteSorted,
  "SQLite, as they come": sqliteAsTheyCome,
  "LMDB, sorted": lmdbSorted,
  "own sorted file": ownRun,
} as const satisfies Record<string, Opener>;
export type CandidateName = keyof typeof CANDIDATES;
