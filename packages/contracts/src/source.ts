import { z } from "zod";
import { name } from "./names.ts";
import { secretReference } from "./secret.ts";
import { shipField } from "./ship.ts";

const common = { at: name.default("default") };

/** A URL without a password in it: secrets are given by reference beside it. */
function plainUrl(...protocols: string[]) {
  return z.string().superRefine((value, context) => {
    const parsed = URL.canParse(value) ? new URL(value) : undefined;
    if (parsed === undefined || !protocols.includes(parsed.protocol.slice(0, -1))) {
      context.addIssue(`must be a URL that begins with ${protocols.map((p) => `${p}://`).join(" or ")}`);
    } else if (parsed.password !== "") {
      context.addIssue('must not hold the password; write password: "${env:NAME}" beside it');
    }
  });
}

export const postgresSource = z.strictObject({
  ...common,
  kind: z.literal("postgres"),
  /** `postgres://user@host:port/database`; `?host=/directory` for a Unix socket. The whole cluster is captured. */
  url: plainUrl("postgres", "postgresql"),
  password: secretReference.optional(),
  ship: shipField,
});
export const neo4jSource = z.strictObject({
  ...common,
  kind: z.literal("neo4j"),
  url: plainUrl("bolt", "neo4j", "bolt+s", "neo4j+s"),
  user: z.string().default("neo4j"),
  password: secretReference.optional(),
  database: z.string().default("neo4j"),
  /** The server's data directory, read by the agent. Absent: a logical export over Bolt, which is `fuzzy`. */
  data: z.string().startsWith("/").optional(),
  ship: shipField,
});
export const qdrantSource = z.strictObject({
  ...common,
  kind: z.literal("qdrant"),
  url: plainUrl("http", "https"),
  apiKey: secretReference.optional(),
});
export const sqliteSource = z.strictObject({
  ...common,
  kind: z.literal("sqlite"),
  /** A database file, or a glob over several. */
  path: z.string().startsWith("/"),
  ship: shipField,
});
export const filesSource = z.strictObject({
  ...common,
  kind: z.literal("files"),
  /** Directories, files or globs. */
  paths: z.array(z.string().startsWith("/")).min(1),
  exclude: z.array(z.string()).default([]),
  /** What the second look, inside the fence, may cost. */
  budget: z
    .strictObject({
      ms: z.number().int().positive().default(1000),
      bytes: z.number().int().positive().default(64_000_000),
    })
    .prefault({}),
});

export const sourceSpec = z.discriminatedUnion("kind", [
  postgresSource,
  neo4jSource,
  qdrantSource,
  sqliteSource,
  filesSource,
]);
export type SourceSpec = z.infer<typeof sourceSpec>;
export type PostgresSource = z.infer<typeof postgresSource>;
export type Neo4jSource = z.infer<typeof neo4jSource>;
export type QdrantSource = z.infer<typeof qdrantSource>;
export type SqliteSource = z.infer<typeof sqliteSource>;
export type FilesSource = z.infer<typeof filesSource>;
