import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";
import { type TicketClaims, ticketClaims } from "@stillpoint/contracts/vault";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { z } from "zod";
import type { World } from "../world.ts";

type PushClaims = Extract<TicketClaims, { purpose: "push" }>;
export type PushTo = { vaultUrl: string; token: Secret; claims: PushClaims };

/** What the environment says of where to push to, and with which token. The vault alone can tell whether it counts. */
export async function pushSettings({ environment }: Pick<World, "environment">): Promise<PushTo> {
  const { STILLPOINT_VAULT_URL: url, STILLPOINT_WAL_TOKEN: given, STILLPOINT_WAL_TOKEN_FILE: file } = environment;
  const vaultUrl = z.url().safeParse(url);
  if (!vaultUrl.success) throw notSet("STILLPOINT_VAULT_URL", "where the vault answers, such as http://vault:7410");
  const isGiven = given !== undefined && given !== "";
  if (!isGiven && (file === undefined || file === ""))
    throw notSet("STILLPOINT_WAL_TOKEN_FILE", "the file that `stillpoint wal token` wrote");
  const token = isGiven ? new Secret(given) : await readKeyFile(file ?? "");
  return { vaultUrl: vaultUrl.data, token, claims: claimsIn(token) };
}

function claimsIn(token: Secret): PushClaims {
  const [body = ""] = token.reveal().split(".");
  try {
    const { claims } = z
      .object({ claims: ticketClaims })
      .parse(JSON.parse(Buffer.from(body, "base64url").toString("utf8")));
    if (claims.purpose === "push") return claims;
  } catch {
    // Whatever it is: its content is not to be told.
  }
  throw new StillpointError("TICKET_INVALID", {
    what: "Cannot push with this token",
    why: "it is none that `stillpoint wal token` wrote",
  });
}

function notSet(where: string, what: string): StillpointError {
  return new StillpointError("CONFIG_INVALID", { what: "Cannot push WAL", where, why: `it is not set: ${what}` });
}
