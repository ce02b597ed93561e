import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Bus } from "@stillpoint/bus/bus";
import { type InProcessService, inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { service } from "../src/service.ts";

export function planText(plans: Record<string, string> = { shop: "5m" }): string {
  const each = Object.entries(plans).map(
    ([name, rpo]) => `
  ${name}:
    objectives: { rpo: ${rpo} }
    sources:
      config: { kind: files, paths: [/etc/app] }
      sessions: { kind: sqlite, path: /srv/app.db, at: site-b }
    schedule: [ every 5m ]`,
  );
  return `plans:${each.join("")}\n`;
}

export type Gateway = AsyncDisposable & {
  nats: { url: string };
  bus: Bus;
  planFile: string;
  /** A gateway on this NATS and plan file; the test may start several. */
  start: () => Promise<InProcessService & { url: string }>;
  write: (text: string) => Promise<void>;
};

/** NATS, a plan file and a bus of the test's own; no gateway runs yet. */
export async function place(): Promise<Gateway> {
  await using opened = new AsyncDisposableStack();
  const directory = opened.use(await temporaryDirectory("gateway")).path;
  const nats = opened.use(await ownNats());
  const bus = opened.use(await testBus(nats));
  const planFile = join(directory, "plan.yaml");
  const write = (text: string) => writeFile(planFile, text);
  await write(planText());
  const resources = opened.move();
  return {
    nats,
    bus,
    planFile,
    write,
    async start() {
      const started = await inProcessService(service, nats, {
        STILLPOINT_PLAN_FILE: planFile,
        STILLPOINT_PLAN_POLL_MS: "20",
        STILLPOINT_GATEWAY_PORT: "0",
      });
      resources.use(started);
      const url = started.lines.find(({ message }) => message === "REST listens")?.fields.url;
      return Object.assign(started, { url: String(url).replace("/api/v1", "") });
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

/** The parsed body, whatever it is. */
export async function call(
  url: string,
  path: string,
  init: RequestInit = {},
): Promise<{ status: number; type: string | null; location: string | null; body: Record<string, unknown> }> {
  const response = await fetch(`${url}${path}`, init);
  const body = (await response.json()) as Record<string, unknown>; // the expectations look at what is in it
  const { headers, status } = response;
  return { status, type: headers.get("content-type"), location: headers.get("location"), body };
}
