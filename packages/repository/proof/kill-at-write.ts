import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { fromDisk, toDisk } from "./held-on-disk.ts";
import { copyOf, type SmallRepository } from "./small-repository.ts";
import { afterwards } from "./sweep.ts";
import type { Site, SweptOperation } from "./swept-operation.ts";

const PROCESS = fileURLToPath(new URL("./killed-process.ts", import.meta.url));

/** The base as the operation finds it. */
export async function preparedFor(start: SmallRepository, operation: SweptOperation): Promise<SmallRepository> {
  const base = copyOf(start);
  await operation.prepare?.({ primary: base.primary.store, replica: base.replica.store, base, seed: "prepare" });
  return base;
}

/**
 * Does the operation in a process that is killed right after its k-th write, and then once more. Answers whether it was
 * killed, and what is not as it must be.
 */
export async function killAtWrite(
  base: SmallRepository,
  operation: SweptOperation,
  k: number,
): Promise<{ killed: boolean; findings: string[] }> {
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-killed-"));
  try {
    const [primary, replica] = [join(directory, "primary"), join(directory, "replica")];
    await toDisk(base.primary, primary);
    await toDisk(base.replica, replica);
    const child = spawn(process.execPath, [PROCESS, primary, replica, operation.title, String(k)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (bytes: Buffer) => {
      said += bytes.toString("utf8");
    });
    const [code, signal] = (await once(child, "close")) as [number | null, string | null]; // as node documents it
    const killed = signal === "SIGKILL";
    if (!killed && code !== 0) return { killed, findings: [`it ended with ${code ?? signal}: ${said}`] };
    const left = { primary: await fromDisk(primary), replica: await fromDisk(replica), sealed: base.sealed };
    const site: Site = { primary: left.primary.store, replica: left.replica.store, base: left, seed: `after ${k}` };
    return { killed, findings: await afterwards(site, operation) };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}
