import { z } from "zod";
import { duration } from "./duration.ts";
import { SUBJECT_ROOT } from "./messages.ts";
import { name } from "./names.ts";
import { secretReference } from "./secret.ts";
import { shipField, written } from "./ship.ts";

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
  /**
   * `postgres://user@host:port/database`; `?host=/directory` for a Unix socket; `sslmode`, `sslrootcert`, `sslcert` and
   * `sslkey` as libpq has them. The whole cluster is captured.
   */
  url: plainUrl("postgres", "postgresql"),
  password: secretReference.optional(),
  /** A file such as `.pgpass`, on the agent's machine; instead of `password`. */
  passfile: z.string().startsWith("/").optional(),
  /** Dumps of these databases, instead of a copy of the whole cluster: without its log, for any later version. */
  dump: z.union([z.literal("all"), z.array(z.string().min(1)).min(1)]).optional(),
  ship: shipField,
});
export const neo4jSource = z.strictObject({
  ...common,
  kind: z.literal("neo4j"),
  url: plainUrl("bolt", "neo4j", "bolt+s", "neo4j+s"),
  user: z.string().default("neo4j"),
  password: secretReference.optional(),
  database: z.string().default("neo4j"),
  /** Several, or all that are online: Enterprise. Absent: `database`. The system database comes along with either. */
  databases: z.union([z.literal("all"), z.array(z.string().min(1)).min(1)]).optional(),
  /** The server's data directory, read by the agent. Absent: a logical export over Bolt, which is `fuzzy`. */
  data: z.string().startsWith("/").optional(),
  /** `host:port` of an Enterprise server's backup service. Absent: port 6362 of the host of `url`. */
  backup: z
    .string()
    .regex(/^[^\s:]+:\d{1,5}$/, "must be host:port")
    .optional(),
  ship: shipField,
});
export const qdrantSource = z.strictObject({
  ...common,
  kind: z.literal("qdrant"),
  url: plainUrl("http", "https"),
  /** Of a cluster: the addresses of its other peers, each its own and no load balancer. The key is the same everywhere. */
  peers: z.array(plainUrl("http", "https")).optional(),
  apiKey: secretReference.optional(),
});
export const sqliteSource = z
  .strictObject({
    ...common,
    kind: z.literal("sqlite"),
    /** A database file, or a glob over several. */
    path: z.string().startsWith("/"),
    /** Tables that no point has, neither their rows nor their making. */
    exclude: z.array(z.string().min(1)).optional(),
    ship: shipField,
  })
  .refine(({ exclude = [], ship }) => exclude.length === 0 || ship === "off", {
    path: ["exclude"],
    error:
      "a log has the rows of every table, so tables cannot be left out of a source that is shipped: write ship: off beside it, or leave them out of an export (stillpoint point export --sql --without-table)",
  });
/** A subject that other programs publish on. */
const foreignSubject = z
  .string()
  .regex(/^[^\s.*>]+(\.[^\s.*>]+)*$/, "must be a NATS subject without wildcards")
  .refine((subject) => !/^[$_]/.test(subject) && subject.split(".")[0] !== SUBJECT_ROOT.split(".")[0], {
    message: "must not be one of Stillpoint's or of NATS itself",
  });
const atMostEach = duration.refine((ms) => ms >= 1_000 && ms <= 86_400_000, "must be between 1s and 1d");

export const bucketRule = z.strictObject({
  /** `s3://bucket/prefix?endpoint=…&region=…`, as a target's; every object whose key begins with `prefix/`. */
  url: plainUrl("s3"),
  accessKeyId: secretReference.default("${env:AWS_ACCESS_KEY_ID}"),
  secretAccessKey: secretReference.default("${env:AWS_SECRET_ACCESS_KEY}"),
  sessionToken: secretReference.optional(),
  /** The bucket's name in the path and not in the host. Default: where an endpoint is given. */
  pathStyle: z.boolean().optional(),
  /** `all`: noncurrent versions and delete markers too. */
  versions: z.enum(["current", "all"]).default("current"),
  /** The bucket's notifications: a point is asked for when one arrives, at most one in each `every`. */
  notify: z.strictObject({ subject: foreignSubject, every: written(atMostEach).default("1m") }).optional(),
});
export type BucketRule = z.infer<typeof bucketRule>;

/** What a bucket's notifications ask for; undefined where nobody listens to them. */
export function notifySettings(spec: SourceSpec): { subject: string; everyMs: number } | undefined {
  const notify = spec.kind === "files" ? spec.bucket?.notify : undefined;
  return notify && { subject: notify.subject, everyMs: atMostEach.parse(notify.every) };
}

const rescanEach = duration.refine((ms) => ms >= 1_000 && ms <= 86_400_000, "must be between 1s and 1d");

/** Paths are watched, and a point is asked for when something changes. */
export const watchRule = z.strictObject({
  /** At most one point in each such time. */
  every: written(atMostEach).default("30s"),
  /** So often everything is looked through for what was not seen as it happened. */
  rescan: written(rescanEach).default("5m"),
});

/** Undefined where nobody watches. */
export function watchSettings(spec: SourceSpec): { everyMs: number; rescanMs: number } | undefined {
  const watch = spec.kind === "files" ? spec.watch : undefined;
  return watch && { everyMs: atMostEach.parse(watch.every), rescanMs: rescanEach.parse(watch.rescan) };
}

export const filesSource = z
  .strictObject({
    ...common,
    kind: z.literal("files"),
    /** Directories, files or globs. */
    paths: z.array(z.string().startsWith("/")).default([]),
    /** In place of paths: the objects of an S3 bucket. */
    bucket: bucketRule.optional(),
    exclude: z.array(z.string()).default([]),
    watch: watchRule.optional(),
    /** What the second look, inside the fence, may cost. */
    budget: z
      .strictObject({
        ms: z.number().int().positive().default(1000),
        bytes: z.number().int().positive().default(64_000_000),
      })
      .prefault({}),
  })
  .refine(({ paths, bucket }) => paths.length > 0 !== (bucket !== undefined), {
    message: "needs paths or a bucket, and not both",
    path: ["paths"],
  })
  .refine(({ watch, bucket }) => watch === undefined || bucket === undefined, {
    message: "is for paths; a bucket tells of changes by notify",
    path: ["watch"],
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
