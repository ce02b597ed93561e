import { resolve } from "node:path";
import { parseArgs } from "node:util";
import type { HookManner } from "./gate.ts";
import { STORE_NAMES, type StoreName } from "./store.ts";
import type { Connections } from "./stores.ts";

export const USAGE = `usage: sample <seed|run|plan> [options]

  --postgres URL      postgres://user@host:port/database      password: SAMPLE_POSTGRES_PASSWORD
  --neo4j URL         bolt://host:port                         SAMPLE_NEO4J_USER, SAMPLE_NEO4J_PASSWORD
  --qdrant URL        http://host:port                         SAMPLE_QDRANT_API_KEY
  --sqlite PATH       database file
  --files DIRECTORY   gets config/ and uploads/
  --without STORE     leave a store out (postgres, neo4j, qdrant, sqlite, files); may be repeated
  --seed WORD         what the content follows from
  --scale N           size; 1 is about 200 MB in all stores together
seed:
  --reseed            replace what another seed or size made
run:
  --state DIRECTORY   where the journal lies
  --port N            of the hook; 0 takes a free one. Bearer token: SAMPLE_HOOK_TOKEN
  --host ADDRESS      that the hook listens on; loopback unless it is said
  --writers N         how many write at once
  --rate N            writes a second, all writers together
  --hook-disabled     confirm at once and stop nobody; for tests
  --hook-denying      answer heldThroughout: false; for tests
  --hook-hasty MS     go on after this long, whatever was asked; for tests
plan:
  --port N            of the hook
  --neo4j-data PATH   Neo4j's data directory, as its agent sees it

The URLs, the paths and the token can come from SAMPLE_POSTGRES, SAMPLE_NEO4J, SAMPLE_QDRANT, SAMPLE_SQLITE,
SAMPLE_FILES and SAMPLE_STATE too.`;

export class UsageError extends Error {}

type Environment = Readonly<Record<string, string | undefined>>;

export function parseOptions(args: readonly string[], environment: Environment) {
  const { values, positionals } = parse(args);
  const without = new Set<StoreName>((values.without ?? []).map(storeName));
  const [command] = positionals;
  if (positionals.length !== 1 || (command !== "seed" && command !== "run" && command !== "plan")) {
    throw new UsageError(`expected one of seed, run and plan, not ${positionals.join(" ") || "nothing"}`);
  }
  return {
    command,
    connections: connectionsOf(values, environment, without),
    stateDirectory: resolve(values.state ?? environment.SAMPLE_STATE ?? "sample-state"),
    reseed: values.reseed ?? false,
    port: number("port", values.port) ?? 8080,
    hook: hookOf(values),
    ...given("seed", values.seed),
    ...given("scale", number("scale", values.scale)),
    ...given("writers", number("writers", values.writers)),
    ...given("writesPerSecond", number("rate", values.rate)),
    ...given("host", values.host),
    ...given("token", environment.SAMPLE_HOOK_TOKEN),
    ...given("neo4jData", values["neo4j-data"]),
  };
}

function parse(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        postgres: { type: "string" },
        neo4j: { type: "string" },
        qdrant: { type: "string" },
        sqlite: { type: "string" },
        files: { type: "string" },
        without: { type: "string", multiple: true },
        seed: { type: "string" },
        scale: { type: "string" },
        reseed: { type: "boolean" },
        state: { type: "string" },
        port: { type: "string" },
        host: { type: "string" },
        writers: { type: "string" },
        rate: { type: "string" },
        "hook-disabled": { type: "boolean" },
        "hook-denying": { type: "boolean" },
        "hook-hasty": { type: "string" },
        "neo4j-data": { type: "string" },
      },
    });
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error));
  }
}

function connectionsOf(
  values: Partial<Record<StoreName, string>>,
  environment: Environment,
  without: ReadonlySet<StoreName>,
): Connections {
  const place = (store: StoreName, fallback: string): string | undefined =>
    without.has(store) ? undefined : (values[store] ?? environment[`SAMPLE_${store.toUpperCase()}`] ?? fallback);
  const postgres = place("postgres", "postgres://postgres@127.0.0.1:5432/sample");
  const neo4j = place("neo4j", "bolt://127.0.0.1:7687");
  const qdrant = place("qdrant", "http://127.0.0.1:6333");
  const sqlite = place("sqlite", "sample-data/sessions.db");
  const files = place("files", "sample-data/files");
  return {
    ...(postgres && { postgres: { url: postgres, ...given("password", environment.SAMPLE_POSTGRES_PASSWORD) } }),
    ...(neo4j && {
      neo4j: {
        url: neo4j,
        ...given("user", environment.SAMPLE_NEO4J_USER),
        ...given("password", environment.SAMPLE_NEO4J_PASSWORD),
      },
    }),
    ...(qdrant && { qdrant: { url: qdrant, ...given("apiKey", environment.SAMPLE_QDRANT_API_KEY) } }),
    ...(sqlite && { sqlite: { path: resolve(sqlite) } }),
    ...(files && { files: { directory: resolve(files) } }),
  };
}

function hookOf(values: { "hook-disabled"?: boolean; "hook-denying"?: boolean; "hook-hasty"?: string }): HookManner {
  if (values["hook-disabled"] === true) return { manner: "disabled" };
  if (values["hook-denying"] === true) return { manner: "denying" };
  const afterMs = number("hook-hasty", values["hook-hasty"]);
  return afterMs === undefined ? { manner: "honest" } : { manner: "hasty", afterMs };
}

function storeName(text: string): StoreName {
  const found = STORE_NAMES.find((store) => store === text);
  if (found === undefined) throw new UsageError(`--without ${text}: there are ${STORE_NAMES.join(", ")}`);
  return found;
}

function number(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (!Number.isFinite(value) || value < 0) throw new UsageError(`--${option} ${text}: not a number`);
  return value;
}

function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return (value === undefined ? {} : { [key]: value }) as { [K in Key]?: Value }; // the computed key widens to string
}
