import { execFile, spawn } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { measured, type OwnRun, settled } from "@stillpoint/repository/bench/compare";
import type { Measured } from "@stillpoint/repository/bench/measured-process";
import { emptyFiles } from "@stillpoint/repository/bench/peers";
import { NODE_FLAGS } from "@stillpoint/repository/node-flags";

const script = (name: string) => fileURLToPath(new URL(name, import.meta.url));
const RUN = "018f0000-0000-7000-8000-000000000000";

type Step = { ms: number; cpuMs: number; bytes: number; storedBytes: number };
type Place = { url: string; root: string; filesJson: string; environment: Record<string, string>; target: string };

/** One step by an agent's process through a vault's process that is made for it, so that its memory is this step's. */
async function step(action: "backup" | "restore", backupId: string, place: Place): Promise<Measured> {
  await settled();
  const env = { ...process.env, ...place.environment };
  const vault = spawn(process.execPath, [...NODE_FLAGS, script("./vault-process.ts"), place.url, backupId], {
    env,
    stdio: ["pipe", "pipe", "inherit"],
  });
  try {
    const lines = createInterface({ input: vault.stdout })[Symbol.asyncIterator]();
    const where = JSON.parse((await lines.next()).value ?? "");
    const root = action === "backup" ? place.root : place.target;
    const ticket = action === "backup" ? where.put : where.get;
    const args = [
      ...NODE_FLAGS,
      script("./agent-process.ts"),
      action,
      where.vaultUrl,
      ticket,
      backupId,
      root,
      place.filesJson,
    ];
    const agent: Step = JSON.parse((await promisify(execFile)(process.execPath, args, { env })).stdout);
    vault.stdin.end();
    const took = JSON.parse((await lines.next()).value ?? "");
    return { ...agent, cpuMs: agent.cpuMs + took.cpuMs, stageCpuMs: took.stageCpuMs, peakRssMiB: took.peakRssMiB };
  } finally {
    vault.kill();
  }
}

/** The whole way: files, an agent's tar, HTTP, the vault, the target; and back. */
export async function runByHttp(place: Place): Promise<OwnRun> {
  const { url, root, filesJson, environment, target } = place;
  await measured({ url, root, filesJson, action: "init", backupId: "none" }, environment);
  const first = await step("backup", `${RUN}_set_1_base1`, place);
  const again = await step("backup", `${RUN}_set_1_base2`, place);
  await mkdir(target, { recursive: true });
  const restored = await step("restore", `${RUN}_set_1_base1`, place);
  await emptyFiles(target);
  if (restored.bytes !== first.bytes) throw new Error(`${restored.bytes} bytes came back of ${first.bytes}`);
  const { bytes, storedBytes } = first;
  const againBytes = again.storedBytes;
  return { name: "by HTTP", backup: first, again, restore: restored, bytes, storedBytes, againBytes, first, restored };
}
