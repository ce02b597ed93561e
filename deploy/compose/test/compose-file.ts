import { readFileSync } from "node:fs";
import { parse } from "yaml";
import { z } from "zod";
import { root } from "./service-settings.ts";

const environment = z.record(z.string(), z.union([z.string(), z.number(), z.boolean()]).transform(String)).default({});

const service = z.object({
  image: z.string().optional(),
  build: z.object({ context: z.string(), dockerfile: z.string(), target: z.string() }).optional(),
  environment,
  volumes: z.array(z.string()).default([]),
  networks: z.array(z.string()).default([]),
  secrets: z.array(z.string()).default([]),
  security_opt: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
  stop_grace_period: z.string().optional(),
  healthcheck: z.unknown().optional(),
});
export type ComposeService = z.infer<typeof service>;

const compose = z.object({
  services: z.record(z.string(), service),
  networks: z.record(z.string(), z.object({ internal: z.boolean().default(false) })),
  volumes: z.record(z.string(), z.unknown()),
  secrets: z.record(z.string(), z.strictObject({ environment: z.string() })),
});

export function textOf(path: string): string {
  return readFileSync(new URL(path, root), "utf8");
}

export const composeText = textOf("docker-compose.yml");
export const composeFile = compose.parse(parse(composeText, { merge: true }));

/** Variables that a text takes from `.env`: those that must be there, and those with a default. */
export function variablesOf(text: string): { required: string[]; withDefault: string[] } {
  const names = (pattern: RegExp) => [...new Set([...text.matchAll(pattern)].map((match) => match[1] ?? ""))];
  return { required: names(/(?<!\$)\$\{([A-Z0-9_]+):\?/g), withDefault: names(/(?<!\$)\$\{([A-Z0-9_]+):-/g) };
}

/** As Compose does it, with `given` for what has no default. */
export function interpolate(text: string, given: string): string {
  return text.replaceAll(/(?<!\$)\$\{[A-Z0-9_]+(?::-([^}]*)|:\?[^}]*)\}/g, (_, fallback?: string) => fallback ?? given);
}

/** What the Dockerfile says of one target, with what it stands on. */
export type ImageTarget = { from: string; environment: Record<string, string>; entrypoint: string[]; user: string };

export const dockerfile = textOf("deploy/images/Dockerfile").replaceAll("\\\n", " ");

export function imageTarget(name: string): ImageTarget {
  const stage = new RegExp(`^FROM (\\S+) AS ${name}\\n((?:(?!FROM ).*\\n?)*)`, "m").exec(dockerfile);
  if (stage === null) throw new Error(`the Dockerfile has no target ${name}`);
  const [, from = "", body = ""] = stage;
  const isStage = new RegExp(`^FROM \\S+ AS ${from.replaceAll(/[${}]/g, "\\$&")}$`, "m").test(dockerfile);
  const below = isStage ? imageTarget(from) : { from, environment: {}, entrypoint: [], user: "root" };
  const variables = [...body.matchAll(/^ENV (.+)$/gm)].flatMap(([, line = ""]) =>
    [...line.matchAll(/([A-Z0-9_]+)=(?:'([^']*)'|(\S+))/g)].map(([, key = "", quoted, plain]) => [
      key,
      quoted ?? plain ?? "",
    ]),
  );
  const entrypoint = /^ENTRYPOINT (\[.*\])$/m.exec(body)?.[1];
  return {
    from: below.from,
    environment: { ...below.environment, ...Object.fromEntries(variables) },
    entrypoint: entrypoint === undefined ? below.entrypoint : z.array(z.string()).parse(JSON.parse(entrypoint)),
    user: [...body.matchAll(/^USER (.+)$/gm)].at(-1)?.[1] ?? below.user,
  };
}

/** The image that an ARG of the Dockerfile stands for. */
export function imageArgument(reference: string): string {
  const name = /^\$\{(\w+)\}$/.exec(reference)?.[1] ?? "";
  return new RegExp(`^ARG ${name}=(.+)$`, "m").exec(dockerfile)?.[1] ?? reference;
}
