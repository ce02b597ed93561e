import type { SamplePlanOptions } from "./plan.ts";

/** The stores where compose and the documentation have them; plan.yaml is made from this. */
export const DEFAULT_PLAN: SamplePlanOptions = {
  connections: {
    postgres: { url: "postgres://stillpoint@127.0.0.1:5432/sample" },
    neo4j: { url: "bolt://127.0.0.1:7687" },
    qdrant: { url: "http://127.0.0.1:6333" },
    sqlite: { path: "/srv/sample/sessions.db" },
    files: { directory: "/srv/sample/files" },
  },
  neo4jData: "/var/lib/neo4j/data",
  hookUrl: "http://127.0.0.1:8080/quiesce",
  secrets: {
    postgres: "SAMPLE_POSTGRES_PASSWORD",
    neo4j: "SAMPLE_NEO4J_PASSWORD",
    qdrant: "SAMPLE_QDRANT_API_KEY",
    hook: "SAMPLE_HOOK_TOKEN",
  },
};
