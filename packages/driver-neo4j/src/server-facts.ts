import { StillpointError } from "@stillpoint/contracts/errors";
import type { Driver } from "neo4j-driver";
import { z } from "zod";
import { boltError, readRows } from "./bolt.ts";
import { decodeBookmark } from "./bookmark.ts";

const component = z.object({ versions: z.array(z.string()).min(1), edition: z.string() });
const databaseRow = z.object({
  databaseID: z.string().nullable(),
  store: z.string().nullable(),
  currentStatus: z.string(),
});
const nameRow = z.object({ name: z.string() });
const setting = z.object({ name: z.string(), value: z.string().nullable() });

/** Settings that decide whether the files can be relied on. */
const SETTINGS = {
  retention: "db.tx_log.rotation.retention_policy",
  preallocate: "db.tx_log.preallocate",
  data: "server.directories.data",
  logs: "server.directories.transaction.logs.root",
} as const;

export type ServerFacts = {
  version: string;
  edition: string;
  databaseId: string;
  /** The store's format, such as `record-aligned-1.1`. */
  store: string;
  /** What the account may see of them. */
  settings: Partial<Record<keyof typeof SETTINGS, string>>;
};

export async function readServerFacts(driver: Driver, database: string, where: string): Promise<ServerFacts> {
  try {
    const components = await readRows(driver, database, "CALL dbms.components() YIELD versions, edition");
    const { versions, edition } = component.parse(components.rows[0]);
    const shown = await readRows(
      driver,
      "system",
      "SHOW DATABASES YIELD name, databaseID, store, currentStatus WHERE name = $database " +
        "RETURN databaseID, store, currentStatus",
      { database },
    );
    const [row] = shown.rows;
    if (row === undefined) {
      throw new StillpointError("SOURCE_UNSUPPORTED", {
        what: "Cannot capture a Neo4j database",
        where,
        why: `SHOW DATABASES lists none of the name ${database}`,
      });
    }
    const { databaseID, store, currentStatus } = databaseRow.parse(row);
    if (currentStatus !== "online" || databaseID === null) {
      throw new StillpointError("SOURCE_UNREACHABLE", {
        what: "Cannot capture a Neo4j database",
        where,
        why: `database ${database} is ${currentStatus}`,
      });
    }
    const settings = await readSettings(driver, database);
    return { version: versions[0] ?? "", edition, databaseId: databaseID, store: store ?? "", settings };
  } catch (error) {
    throw boltError(error, {
      what: "Cannot read what the Neo4j server says of itself",
      where,
      otherwise: "SOURCE_UNREACHABLE",
    });
  }
}

/** The databases that serve now, without aliases. */
export async function onlineDatabases(driver: Driver, where: string): Promise<string[]> {
  try {
    const { rows } = await readRows(
      driver,
      "system",
      "SHOW DATABASES YIELD name, type, currentStatus WHERE type <> 'composite' AND currentStatus = 'online' " +
        "RETURN DISTINCT name ORDER BY name",
    );
    return rows.map((row) => nameRow.parse(row).name);
  } catch (error) {
    throw boltError(error, { what: "Cannot list the databases of a Neo4j server", where });
  }
}

async function readSettings(driver: Driver, database: string): Promise<ServerFacts["settings"]> {
  const { rows } = await readRows(
    driver,
    database,
    "SHOW SETTINGS YIELD name, value WHERE name IN $names RETURN name, value",
    { names: Object.values(SETTINGS) },
  );
  const values = new Map(rows.map((row) => setting.parse(row)).map(({ name, value }) => [name, value ?? ""]));
  const found = Object.entries(SETTINGS).filter(([, name]) => values.has(name));
  return Object.fromEntries(found.map(([key, name]) => [key, values.get(name)]));
}

/** The last transaction that is committed now, from the bookmark of a query that is made now. */
export async function lastCommitted(driver: Driver, database: string, where: string): Promise<number> {
  try {
    const { bookmark } = await readRows(driver, database, "RETURN 1");
    return committedIn(bookmark);
  } catch (error) {
    throw boltError(error, { what: "Cannot ask the Neo4j server for its last transaction", where });
  }
}

/** The system database has a fixed id, and may or may not be in a bookmark of another one. */
const SYSTEM_DATABASE = "00000000000000000000000000000001";

export function committedIn(bookmark: string): number {
  const own = [...decodeBookmark(bookmark)].find(([uuid]) => uuid !== SYSTEM_DATABASE);
  if (own !== undefined) return own[1];
  throw new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot read the server's bookmark",
    where: bookmark.slice(0, 200),
    why: "it names no transaction of the database",
  });
}
