import { chmod, mkdir } from "node:fs/promises";
import { arch } from "node:os";
import { join } from "node:path";
import { startSandbox } from "@stillpoint/cli/drivers";
import { restoreMoment } from "@stillpoint/cli/restore-moment";
import { StillpointError } from "@stillpoint/contracts/errors";
import { mark } from "@stillpoint/contracts/point";
import type { QueryRow } from "@stillpoint/contracts/query";
import { claimDirectory } from "@stillpoint/driver/sandbox-record";
import { z } from "zod";
import { type GraphSystem, PLAN, SOURCE } from "./graph-system.ts";
import type { RestoredGraph } from "./judge-moment.ts";

const restored = z.object({ directory: z.string(), mark });

/** `stillpoint restore --at`, a server on what it wrote, and what that server says; nothing of it stays. */
export async function restoreGraph(
  { world, part, system, scratch }: GraphSystem,
  at: string,
): Promise<RestoredGraph & { recovered: string; position: string }> {
  await using home = await claimDirectory(scratch, "restored");
  await chmod(home.path, 0o711); // servers that do not run as root pass through
  let printed = "";
  const out = (text: string) => {
    printed += text;
  };
  const quiet = { ...world, out, errorLine: () => undefined };
  await restoreMoment(quiet, {
    at,
    exclusive: false,
    to: join(home.path, "tree"),
    plan: PLAN,
    source: SOURCE,
    repository: system.repository,
    keyFile: system.keyFile,
    over: false,
    dryRun: false,
    thaw: false,
    json: true,
  });
  const found = restored.parse(JSON.parse(printed));
  const own = join(home.path, "own");
  await mkdir(own, { mode: 0o700 });
  const { clock, signal } = world;
  await using sandbox = await startSandbox(
    "neo4j",
    {
      directory: found.directory,
      mark: found.mark,
      runtime: { id: "neo4j-5-26", version: part.version, arch: arch(), extensions: [], settings: {} },
    },
    {
      directory: own,
      signal,
      tools: { java: part.java, neo4jLib: part.libDirectory, javaOptions: [...part.javaArguments] },
      monotonicMs: clock.monotonicMs,
      now: clock.now,
      log: () => undefined,
      secret: (reference) => {
        throw new StillpointError("SECRET_MISSING", { what: "A restore asked for a secret", where: reference });
      },
    },
  );
  const ask = async (text: string) =>
    (await Array.fromAsync(sandbox.query({ type: "statement", id: "ask", text }))).map(valuesOf);
  const names = await ask("MATCH (t:Transfer) RETURN t.worker + '/' + t.seq");
  const [sums] = await ask("MATCH (a:Account) RETURN sum(a.balance)");
  const failed: string[] = [];
  for await (const row of sandbox.query({ type: "store", id: "store" })) {
    if ("verdict" in row && row.verdict !== "pass") failed.push(`${row.name}: ${row.detail}`);
  }
  return {
    writes: new Set(names.map(([name]) => String(name))),
    sum: Number(sums?.[0]),
    failed,
    recovered: sandbox.recovered,
    position: found.mark.position,
  };
}

function valuesOf(row: QueryRow): readonly unknown[] {
  return "values" in row ? row.values : [];
}
