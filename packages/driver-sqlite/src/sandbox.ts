import { fileURLToPath } from "node:url";
import type { DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import { startQueryServer } from "@stillpoint/driver/query-server";
import { markDetail } from "./mark-detail.ts";

export async function startSandbox(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  const program = fileURLToPath(new URL("./sandbox-server.ts", import.meta.url));
  const server = await startQueryServer({ program, directory: input.directory, context });
  const { databases } = markDetail.parse(input.mark.detail);
  const frames = databases.reduce((sum, each) => sum + (each.mode === "wal" ? each.frames : 0), 0);
  return {
    version: `SQLite ${process.versions.sqlite}`,
    recovered: `${databases.length} databases opened, ${frames} frames of their logs replayed`,
    query: server.query,
    probeEgress: server.probeEgress,
    [Symbol.asyncDispose]: server[Symbol.asyncDispose],
  };
}
