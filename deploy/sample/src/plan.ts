import { stringify } from "yaml";
import type { Connections } from "./stores.ts";

export type SamplePlanOptions = {
  connections: Connections;
  hookUrl: string;
  /** Environment variables that the agents find secrets in. */
  secrets?: { postgres?: string; neo4j?: string; qdrant?: string; hook?: string };
  /** Neo4j's data directory as its agent sees it; without it the graph is exported over Bolt, which is `fuzzy`. */
  neo4jData?: string;
  planName?: string;
  schedule?: string[];
};

/** Where ids and sequence numbers lie, by source: the source's name, then a locator in it. */
export const PLACES = {
  documents: { id: "documents.document.id", seq: "documents.document.seq" },
  entities: { id: "entities.Entity.id", seq: "entities.Entity.seq" },
  embeddings: { id: "embeddings.documents.payload.id", seq: "embeddings.documents.payload.seq" },
  sessions: { id: "sessions.session.id", seq: "sessions.session.seq" },
  uploads: { id: "uploads.uploads/*.json#id", seq: "uploads.uploads/*.json#seq" },
} as const;
type SourceName = keyof typeof PLACES;

/** The plan that protects the sample, as a plan file's content: only the stores that are there, and only rules over them. */
export function samplePlan(options: SamplePlanOptions) {
  const sources = sourcesOf(options);
  const names = Object.keys(PLACES).filter((name): name is SourceName => name in sources);
  const [centre, ...others] = names;
  const references = others.flatMap((other) => [
    { reference: `${PLACES[other].id} -> ${PLACES[centre ?? other].id}` },
    { reference: `${PLACES[centre ?? other].id} -> ${PLACES[other].id}` },
  ]);
  const hook = { http: options.hookUrl, ...reference("token", options.secrets?.hook) };
  return {
    plans: {
      [options.planName ?? "demo"]: {
        objectives: { rto: "15m", rpo: "5m" },
        sources,
        cut: { mode: "fence", hook, ttl: "10s", budget: "5s" },
        schedule: options.schedule ?? ["every 5m", "daily"],
        checks: [
          ...references,
          ...(names.length < 2 ? [] : [{ name: "sequence", sequence: names.map((name) => PLACES[name].seq) }]),
          ...("documents" in sources
            ? [
                {
                  name: "documents have titles",
                  sql: "select count(*) from document where title = ''",
                  source: "documents",
                  expect: 0,
                },
              ]
            : []),
        ],
      },
    },
  };
}

export function samplePlanText(options: SamplePlanOptions): string {
  return stringify(samplePlan(options), { lineWidth: 120 });
}

function sourcesOf({ connections, secrets = {}, neo4jData }: SamplePlanOptions): Partial<Record<SourceName, object>> {
  const { postgres, neo4j, qdrant, sqlite, files } = connections;
  return {
    ...(postgres && { documents: { kind: "postgres", url: postgres.url, ...reference("password", secrets.postgres) } }),
    ...(neo4j && {
      entities: {
        kind: "neo4j",
        url: neo4j.url,
        ...(neo4j.user === undefined ? {} : { user: neo4j.user }),
        ...reference("password", secrets.neo4j),
        ...(neo4jData === undefined ? {} : { data: neo4jData }),
      },
    }),
    ...(qdrant && { embeddings: { kind: "qdrant", url: qdrant.url, ...reference("apiKey", secrets.qdrant) } }),
    ...(sqlite && { sessions: { kind: "sqlite", path: sqlite.path } }),
    ...(files && {
      uploads: { kind: "files", paths: [`${files.directory}/config`, `${files.directory}/uploads`] },
    }),
  };
}

function reference(field: string, variable: string | undefined): Record<string, string> {
  return variable === undefined ? {} : { [field]: `\${env:${variable}}` };
}
