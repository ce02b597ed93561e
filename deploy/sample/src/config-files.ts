import { stringify } from "yaml";
import { below, randomOf } from "./random.ts";

/** The application's configuration, by file name. */
export function configFiles(seed: string): Record<string, string> {
  const random = randomOf(seed, "configuration");
  const tools = Array.from({ length: 40 }, (_, at) => ({
    name: `tool-${at + 1}`,
    version: `${below(random, 4)}.${below(random, 20)}.${below(random, 10)}`,
    enabled: below(random, 5) > 0,
    timeoutMs: 500 * (1 + below(random, 20)),
  }));
  return {
    "application.yaml": stringify({
      name: "sample",
      locale: "en",
      search: { neighbours: 10, distance: "cosine" },
      sessions: { idleMinutes: 30 },
      uploads: { maxBytes: 5_000_000, types: ["text/plain", "application/json"] },
    }),
    "features.json": `${JSON.stringify({ relatedDocuments: true, summaries: below(random, 2) === 0, export: false }, null, 2)}\n`,
    "registry.json": `${JSON.stringify({ tools }, null, 2)}\n`,
    "application.env": `LOG_LEVEL=info\nWORKERS=${2 + below(random, 6)}\nREGION=eu-${1 + below(random, 3)}\n`,
  };
}
