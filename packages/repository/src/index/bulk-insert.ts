import type { DatabaseSync } from "node:sqlite";
import { setImmediate as nextTurn } from "node:timers/promises";
import { NAME_LENGTH } from "../format/pack-format.ts";
import { RECORD_LENGTH, recordSorter } from "./record-sorter.ts";
import type { RecordSink } from "./stored-chunk-index.ts";

/** Chunks that are laid by as they come and inserted in the order of their names. */
export function bulkInsert(database: DatabaseSync, spillPath: string) {
  const sorter = recordSorter(spillPath);
  const insert = database.prepare("insert or ignore into chunks values (?, ?, ?, ?, ?, ?)");
  const record = Buffer.alloc(RECORD_LENGTH);

  const gather: RecordSink = (pack, entries) => {
    entries.forEach(({ name, type, offset, length }, position) => {
      record.set(name, 0);
      record[NAME_LENGTH] = type;
      record.writeUInt32BE(offset, NAME_LENGTH + 1);
      record.writeUInt32BE(length, NAME_LENGTH + 5);
      record.writeUInt32BE(pack, NAME_LENGTH + 9);
      record.writeUInt32BE(position, NAME_LENGTH + 13);
      sorter.add(record);
    });
  };

  return {
    gather,
    async finish(): Promise<void> {
      for (const part of sorter.parts()) {
        database.exec("begin");
        for (const each of part)
          insert.run(
            each.subarray(0, NAME_LENGTH),
            each.readUInt32BE(NAME_LENGTH + 9),
            each.readUInt32BE(NAME_LENGTH + 13),
            each.readUInt32BE(NAME_LENGTH + 1),
            each.readUInt32BE(NAME_LENGTH + 5),
            each[NAME_LENGTH] ?? 0,
          );
        database.exec("commit");
        await nextTurn(); // others of this thread have their turn
      }
    },
    [Symbol.dispose]: () => sorter[Symbol.dispose](),
  };
}
