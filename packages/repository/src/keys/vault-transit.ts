import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import type { Opener } from "./opener.ts";
import { askTransit, type TransitServer, transitFailure } from "./transit-client.ts";

export type TransitOptions = TransitServer & {
  /** Name of an aes256-gcm96 key, or another that encrypts. */
  key: string;
  /** Where the engine is mounted. Default: `transit`. */
  mount?: string;
};

const SECRET_LENGTH = 32;
/** Names go into a path that a token is sent to. */
const PATH_PART = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*$/;
const encrypted = z.object({ data: z.object({ ciphertext: z.string().startsWith("vault:") }) });
const decrypted = z.object({ data: z.object({ plaintext: z.base64() }) });

function assertPath(what: string, path: string, parts: readonly string[]): void {
  if (parts.every((part) => PATH_PART.test(part))) return;
  throw new StillpointError("CONFIG_INVALID", { what: "Cannot use Vault's transit engine", where: what, why: path });
}

/** HashiCorp Vault's transit engine. Address, mount and key are those that are configured here, whatever a slot says. */
export function transitOpener(options: TransitOptions): Opener {
  const { address, key, mount = "transit" } = options;
  assertPath("mount", mount, mount.split("/"));
  assertPath("key", key, [key]);
  return {
    method: "vault-transit",
    shown: `Vault transit key ${mount}/${key}`,
    async seal({ random }) {
      const secret = random(SECRET_LENGTH);
      const answer = await askTransit(options, `${mount}/encrypt/${key}`, {
        plaintext: Buffer.from(secret).toString("base64"),
      });
      const parsed = encrypted.safeParse(answer.body);
      if (answer.status !== 200 || !parsed.success) throw transitFailure(address, answer);
      return { fields: { transit: { address, mount, key, wrapped: parsed.data.data.ciphertext } }, secret };
    },
    async open({ transit }) {
      if (transit === undefined || transit.key !== key || transit.mount !== mount) return undefined;
      const answer = await askTransit(options, `${mount}/decrypt/${key}`, { ciphertext: transit.wrapped });
      // Not a ciphertext of this key, or of a version of it that may not decrypt any more. A key that is gone is another matter.
      if (answer.status === 400 && !JSON.stringify(answer.body).includes("not found")) return undefined;
      const parsed = decrypted.safeParse(answer.body);
      if (answer.status !== 200 || !parsed.success) throw transitFailure(address, answer);
      const secret = Buffer.from(parsed.data.data.plaintext, "base64");
      return secret.length === SECRET_LENGTH ? secret : undefined;
    },
  };
}
