import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { PGlite } from "@electric-sql/pglite";
import { StillpointError } from "@stillpoint/contracts/errors";

/**
 * The defaults are for a server of many clients; this one has a single connection. Measured: 261 MB for the process with
 * 128 MB of shared buffers, 139 MB with 8 MB.
 */
export const SETTINGS = ["shared_buffers=8MB", "wal_buffers=1MB", "max_wal_size=64MB", "min_wal_size=32MB"];

/**
 * Opens the embedded PostgreSQL, made the first time. It does not wait for the disk (fsync is off in PGlite): after a loss
 * of power it may have to be made anew, which the repository allows at any time.
 */
export async function openEmbedded(directory: string): Promise<PGlite> {
  // One level down: what is given may be a mount point, which nothing can be renamed to.
  const data = join(directory, "pglite");
  if (!existsSync(data)) await make(data);
  try {
    return await PGlite.create(data, { postgresqlconf: SETTINGS });
  } catch (error) {
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot open the embedded catalog",
      where: data,
      why: error instanceof Error ? error.message : String(error),
      hint: `stop what else uses it, or move it away (mv ${data} ${data}.bad): it is made anew from the repository`,
      cause: error,
    });
  }
}

/**
 * In a process of its own, because the memory that making it takes (some 500 MB) would stay with ours; under another name
 * first, because a process that is killed leaves a directory that looks whole.
 */
async function make(data: string): Promise<void> {
  const making = `${data}.making`;
  await rm(making, { recursive: true, force: true });
  const program = fileURLToPath(new URL("./make-embedded.ts", import.meta.url));
  const child = spawn(process.execPath, [program, making], { stdio: ["ignore", "ignore", "pipe"] });
  let said = "";
  child.stderr.on("data", (bytes) => {
    said = `${said}${bytes}`.slice(-2_000);
  });
  const [code] = await once(child, "close");
  if (code !== 0) {
    throw new StillpointError("INTERNAL", {
      what: "Cannot make the embedded catalog",
      where: data,
      why: said.trim(),
    });
  }
  await rename(making, data);
}
