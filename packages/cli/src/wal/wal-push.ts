import { resolve } from "node:path";
import { pushStretch } from "@stillpoint/agent/shipping/push-stretch";
import { vaultClient } from "@stillpoint/agent/vault-client";
import { readWalFile } from "@stillpoint/driver-postgres/archive/read-wal-file";
import type { World } from "../world.ts";
import { type PushTo, pushSettings } from "./push-settings.ts";

/** One try: PostgreSQL itself tries again. A vault that takes bytes and never answers must not hold it up for ever. */
const WITHIN_MS = 300_000;

/** The repository has the file, durable, when it resolves; "nothing": no restore needs it. */
export async function pushFile(
  { vaultUrl, token, claims }: PushTo,
  path: string,
  signal: AbortSignal,
): Promise<"stored" | "there" | "nothing"> {
  const stretch = await readWalFile(path);
  if (stretch === undefined) return "nothing";
  const within = AbortSignal.any([signal, AbortSignal.timeout(WITHIN_MS)]);
  return await pushStretch(vaultClient(vaultUrl, token.reveal(), within), claims, stretch);
}

/** `archive_command = 'stillpoint wal push %p'`: 0 says that it is durable. */
export async function pushWal(world: Pick<World, "environment" | "signal">, path: string): Promise<void> {
  await pushFile(await pushSettings(world), resolve(path), world.signal);
}
