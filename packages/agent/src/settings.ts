import { z } from "zod";

const json = z.string().transform((text) => JSON.parse(text) as unknown); // parsed by what it is piped to

/** What every agent is told by its environment. A role that is not named is not taken. */
export const agentSettings = z.object({
  STILLPOINT_SITE: z
    .string()
    .regex(/^[a-z0-9-]{1,40}$/)
    .default("default"),
  STILLPOINT_ROLES: z
    .string()
    .default("capture,rehearsal")
    .transform((text) => text.split(",").map((role) => role.trim()))
    .pipe(z.array(z.enum(["capture", "rehearsal"])).min(1)),
  /** Scratch space: restored trees of rehearsals, and what a capture must keep beside the source. */
  STILLPOINT_WORK_DIRECTORY: z.string().min(1),
  /** Streams that move bytes at once; sessions beyond them wait their turn, open. */
  STILLPOINT_MAX_STREAMS: z.coerce.number().int().positive().default(2),
  /** Rehearsals at once: each runs a server. */
  STILLPOINT_MAX_REHEARSALS: z.coerce.number().int().positive().default(1),
  STILLPOINT_POSTGRES_BIN: z.string().optional(),
  STILLPOINT_SERVER_USER: z.string().optional(),
  STILLPOINT_NEO4J_LIB: z.string().optional(),
  STILLPOINT_JAVA: z.string().optional(),
  /** Program and first arguments, as a JSON array. */
  STILLPOINT_NEO4J_ADMIN: json.pipe(z.array(z.string()).min(1)).optional(),
  /** Further options of every Java, such as an archive of Neo4j's classes; a JSON array. */
  STILLPOINT_JAVA_OPTIONS: json.pipe(z.array(z.string())).optional(),
  /** Program and first arguments, as a JSON array. */
  STILLPOINT_QDRANT_COMMAND: json.pipe(z.array(z.string()).min(1)).optional(),
  STILLPOINT_QDRANT_IS_DOUBLE: z.stringbool().default(false),
  /** Run rehearsals without shutting them in, where something else does: their proofs show what they reached. */
  STILLPOINT_OPEN_SANDBOXES: z.stringbool().default(false),
});
export type AgentSettings = z.infer<typeof agentSettings>;

/** `Tools` of the driver contract, from the settings. */
export function toolsOf(settings: AgentSettings) {
  const {
    STILLPOINT_POSTGRES_BIN,
    STILLPOINT_SERVER_USER,
    STILLPOINT_NEO4J_LIB,
    STILLPOINT_JAVA,
    STILLPOINT_JAVA_OPTIONS,
    STILLPOINT_NEO4J_ADMIN,
    STILLPOINT_QDRANT_COMMAND,
  } = settings;
  return {
    ...(STILLPOINT_POSTGRES_BIN === undefined ? {} : { postgresBin: STILLPOINT_POSTGRES_BIN }),
    ...(STILLPOINT_SERVER_USER === undefined ? {} : { serverUser: STILLPOINT_SERVER_USER }),
    ...(STILLPOINT_NEO4J_LIB === undefined ? {} : { neo4jLib: STILLPOINT_NEO4J_LIB }),
    ...(STILLPOINT_JAVA === undefined ? {} : { java: STILLPOINT_JAVA }),
    ...(STILLPOINT_JAVA_OPTIONS === undefined ? {} : { javaOptions: STILLPOINT_JAVA_OPTIONS }),
    ...(STILLPOINT_NEO4J_ADMIN === undefined ? {} : { neo4jAdmin: STILLPOINT_NEO4J_ADMIN }),
    ...(STILLPOINT_QDRANT_COMMAND === undefined ? {} : { qdrantCommand: STILLPOINT_QDRANT_COMMAND }),
    openSandboxes: settings.STILLPOINT_OPEN_SANDBOXES,
    qdrantIsDouble: settings.STILLPOINT_QDRANT_IS_DOUBLE,
  };
}
