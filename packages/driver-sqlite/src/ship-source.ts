import { createHash } from "node:crypto";
import { open, stat } from "node:fs/promises";
import type { DriverContext } from "@stillpoint/driver/driver";
import { type FoundDatabase, findDatabases } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import type { StateInput } from "./ship-position.ts";
import { holdDatabase, type ShippedDatabase } from "./shipped-database.ts";
import { sourceVanished } from "./source-error.ts";
import type { WalAddress } from "./wal-address.ts";

const MAGIC = Buffer.from("SQLite format 3\0");
const WRITE_VERSION_AT = 18;
const WAL_VERSION = 2;

/** Whether a database's log can be followed, by its file alone, so that nothing is opened that need not be. */
async function hasLog({ path }: FoundDatabase): Promise<boolean> {
  await using file = await open(path, "r");
  const bytes = Buffer.alloc(WRITE_VERSION_AT + 1);
  const { bytesRead } = await file.read(bytes, 0, bytes.byteLength, 0);
  return bytesRead === bytes.byteLength && bytes.indexOf(MAGIC) === 0 && bytes[WRITE_VERSION_AT] === WAL_VERSION;
}

/** The databases of a source that are shipped, as they come and go. */
export interface ShippedSource extends AsyncDisposable {
  readonly databases: readonly ShippedDatabase[];
  /** Files that are there and have no log. */
  readonly without: readonly FoundDatabase[];
  /** Looks for databases. `gone`: names that are not there any more; `isNew`: one is there that was not, or another. */
  find(): Promise<{ gone: string[]; isNew: boolean }>;
  state(): Promise<StateInput[]>;
}

export async function openShippedSource(
  pattern: string,
  holder: Holder,
  context: DriverContext,
): Promise<ShippedSource> {
  const databases = new Map<string, ShippedDatabase>();
  /** Databases without a log, which points carry and a log cannot. */
  const without = new Map<string, FoundDatabase>();
  const drop = async (name: string) => {
    const database = databases.get(name);
    databases.delete(name);
    if (database === undefined) return;
    await database[Symbol.asyncDispose]();
    await holder.ask("close", { path: database.found.path });
  };
  const source: ShippedSource = {
    get databases() {
      return [...databases.values()];
    },
    get without() {
      return [...without.values()];
    },
    async find() {
      const found = await findDatabases(pattern);
      const there = new Map(found.map((each) => [each.name, each]));
      const gone = source.databases
        .filter((each) => there.get(each.found.name)?.identity !== each.found.identity)
        .map((each) => each.found.name);
      for (const name of gone) await drop(name);
      let isNew = false;
      for (const each of found.filter(({ name }) => !databases.has(name))) {
        if (await hasLog(each).catch(vanishing(each))) {
          databases.set(each.name, await holdDatabase(each, holder));
          without.delete(each.name);
          isNew = true;
        } else if (!without.has(each.name)) {
          without.set(each.name, each);
          context.log(`${each.name} has no log that could be shipped: it comes with each point`);
        }
      }
      return { gone, isNew };
    },
    async state() {
      return await Promise.all(source.databases.map(({ found, read }) => stateOf(found, read)));
    },
    async [Symbol.asyncDispose]() {
      for (const each of databases.values()) await each[Symbol.asyncDispose]();
      databases.clear();
    },
  };
  return source;
}

/** A log that was never written has no salts: only the file itself says whether it is the one that it was. */
export async function stateOf(found: FoundDatabase, address: WalAddress): Promise<StateInput> {
  const state = { name: found.name, address };
  if (address.salts[0] !== 0 || address.salts[1] !== 0) return state;
  const { ino, size, mtimeNs, ctimeNs } = await stat(found.path, { bigint: true }).catch(vanishing(found));
  const file = createHash("sha256").update([ino, size, mtimeNs, ctimeNs].join(" ")).digest("hex");
  return { ...state, file };
}

function vanishing({ path }: FoundDatabase): (error: unknown) => never {
  return (error) => {
    throw sourceVanished(path, error);
  };
}
