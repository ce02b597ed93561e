import { readFile } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Compute, gaxios, JWT } from "google-auth-library";
import { z } from "zod";
import type { Agents } from "./network.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.full_control";

/** A service account's key file as Google gives it out. */
const keyFileShape = z.object({
  type: z.literal("service_account"),
  client_email: z.string(),
  private_key: z.string(),
  private_key_id: z.string().optional(),
});

async function accountOf(path: string, agents: Agents): Promise<JWT> {
  const key = keyFileShape.parse(JSON.parse(await readFile(path, "utf8")));
  return new JWT({
    email: key.client_email,
    key: key.private_key,
    ...(key.private_key_id === undefined ? {} : { keyId: key.private_key_id }),
    scopes: [SCOPE],
    transporterOptions: { agent: (url: URL) => (url.protocol === "http:" ? agents.http : agents.https), retry: false },
  });
}

function reasonOf(error: unknown): string {
  if (error instanceof z.ZodError || error instanceof SyntaxError) return "it is no key file of a service account";
  return error instanceof Error ? error.message : String(error);
}

/** Whether asking again later may help: Google could not be reached, or had trouble of its own. */
function mayPass(error: unknown): boolean {
  if (!(error instanceof gaxios.GaxiosError)) return false;
  const status = error.response?.status;
  return status === undefined || status === 429 || status >= 500;
}

/**
 * The header that each request carries: a token of the key file's account, or, without one, of the account that Google gives
 * this machine. The library keeps a token until shortly before its end.
 */
export function gcsAuthorization(keyFile: string | undefined, agents: Agents): () => Promise<string> {
  let account: Promise<JWT | Compute> | undefined;
  return async () => {
    try {
      account ??=
        keyFile === undefined ? Promise.resolve(new Compute({ scopes: [SCOPE] })) : accountOf(keyFile, agents);
      const { token } = await (await account).getAccessToken();
      return `Bearer ${token}`;
    } catch (error) {
      account = undefined;
      // Not as the cause: the library's error holds the signed request.
      throw new StillpointError(mayPass(error) ? "STORE_UNREACHABLE" : "STORE_DENIED", {
        what: "Cannot get a token for Google Cloud Storage",
        where: keyFile ?? "the account of this machine",
        why: reasonOf(error),
        hint: "set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account",
      });
    }
  };
}
