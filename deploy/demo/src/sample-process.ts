import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { StillpointError } from "@stillpoint/contracts/errors";
import { SECRETS, type Stores } from "./stores.ts";

/** The sample system in a process of its own, as any application would be: it knows Stillpoint's hook and nothing else. */
export type SampleProcess = AsyncDisposable & { url: string; hookUrl: string };

const MAIN = fileURLToPath(import.meta.resolve("@stillpoint/sample/main"));
const STOP_WITHIN_MS = 10_000;

export async function seed(stores: Stores, scale: number, say: (line: string) => void): Promise<void> {
  const child = start(stores, "", ["seed", "--scale", String(scale)], say);
  const [code] = await once(child, "exit");
  if (code !== 0) throw failed("could not be seeded", `exit code ${code}`);
}

export async function startSampleProcess(
  stores: Stores,
  options: { stateDirectory: string; hookToken: string; scale: number },
  say: (line: string) => void,
): Promise<SampleProcess> {
  await mkdir(options.stateDirectory, { recursive: true });
  const args = ["run", "--port", "0", "--state", options.stateDirectory, "--scale", String(options.scale)];
  const child = start(stores, options.hookToken, args, say);
  const ended = once(child, "exit").then(([code, signal]) => `it ended with ${signal ?? `exit code ${code}`}`);
  const first = once(createInterface({ input: child.stdout }), "line").then(([line]) => String(line));
  const said = await Promise.race([first, ended.then((how) => Promise.reject(failed("did not start", how)))]);
  const { url, hookUrl } = parse(said);
  return {
    url,
    hookUrl,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      child.kill("SIGTERM");
      const late = new AbortController();
      const timer = wait(STOP_WITHIN_MS, "late", { signal: late.signal }).catch(() => "ended");
      if ((await Promise.race([ended, timer])) === "late") child.kill("SIGKILL");
      late.abort();
      await ended;
    },
  };
}

function start(stores: Stores, hookToken: string, args: string[], say: (line: string) => void) {
  const { postgres, neo4j, qdrant, sqlite, files } = stores.connections;
  const places = {
    postgres: postgres?.url,
    neo4j: neo4j?.url,
    qdrant: qdrant?.url,
    sqlite: sqlite?.path,
    files: files?.directory,
  };
  const given = Object.entries(places).flatMap(([store, place]) =>
    place === undefined ? ["--without", store] : [`--${store}`, place],
  );
  const child = spawn(process.execPath, ["--disable-warning=ExperimentalWarning", MAIN, ...args, ...given], {
    env: { PATH: process.env.PATH, ...stores.secrets, [SECRETS.hook]: hookToken },
    stdio: ["ignore", "pipe", "pipe"],
    detached: true,
  });
  createInterface({ input: child.stderr }).on("line", (line) => say(`  ${line}`));
  return child;
}

function parse(line: string): { url: string; hookUrl: string } {
  const value: unknown = JSON.parse(line);
  if (typeof value === "object" && value !== null && "url" in value && "hookUrl" in value) {
    return { url: String(value.url), hookUrl: String(value.hookUrl) };
  }
  throw failed("did not say where it listens", line);
}

function failed(what: string, why: string): StillpointError {
  return new StillpointError("INTERNAL", { what: `The sample system ${what}`, where: join("deploy", "sample"), why });
}
