import { open } from "node:fs/promises";
import { userInfo } from "node:os";
import { resolve } from "node:path";
import { vaultLogToken, vaultRevokeLogTokens } from "@stillpoint/contracts/vault";
import { z } from "zod";
import { reachBus } from "../reach.ts";
import type { World } from "../world.ts";

export type TokenOptions = { plan: string; source: string; days: string; file: string; json?: boolean };

const patience = { timeoutMs: 10_000 };

/** A token for a server that gives its WAL itself, into a file that only its owner reads: never on a command line or a screen. */
export async function mintLogToken(world: World, { plan, source, days, file, json }: TokenOptions): Promise<void> {
  const path = resolve(file);
  // Made before anything is minted, and never over another.
  await using made = await open(path, "wx", 0o600);
  await using bus = await reachBus(world);
  const asked = {
    plan,
    source,
    kind: "postgres" as const,
    days: z.coerce.number().int().min(1).max(3_650).parse(days),
  };
  const { token, vaultUrl, expiresAt, generation } = await bus.request(vaultLogToken, {}, asked, patience);
  await made.writeFile(`${token}\n`);
  await made.sync();
  if (json) {
    world.out(`${JSON.stringify({ plan, source, file: path, vaultUrl, expiresAt, generation })}\n`);
    return;
  }
  world.out(`a token that appends to the log of ${plan}/${source}, until ${expiresAt}: ${path}\n`);
  world.errorLine(
    `on the server: STILLPOINT_VAULT_URL=${vaultUrl} STILLPOINT_WAL_TOKEN_FILE=<the file, owned by the server's account>`,
  );
}

/** Every token of a source that was minted so far counts no more. */
export async function revokeLogTokens(world: World, { plan, source, json }: Omit<TokenOptions, "days" | "file">) {
  await using bus = await reachBus(world);
  const by = userInfo().username;
  const { generation } = await bus.request(vaultRevokeLogTokens, {}, { plan, source, by }, patience);
  if (json) world.out(`${JSON.stringify({ plan, source, generation })}\n`);
  else world.out(`no token for ${plan}/${source} that was minted before now counts any more\n`);
}
