import { StillpointError } from "@stillpoint/contracts/errors";
import { GoogleAuth } from "google-auth-library";
import type { Agents } from "./network.ts";

const SCOPE = "https://www.googleapis.com/auth/devstorage.full_control";

/**
 * The header that each request carries. Without a key file: what this machine is given, as on Google's own. The library
 * keeps a token until shortly before its end.
 */
export function gcsAuthorization(keyFile: string | undefined, agents: Agents): () => Promise<string> {
  const auth = new GoogleAuth({
    scopes: [SCOPE],
    ...(keyFile === undefined ? {} : { keyFilename: keyFile }),
    clientOptions: {
      transporterOptions: { agent: (url: URL) => (url.protocol === "http:" ? agents.http : agents.https) },
    },
  });
  return async () => {
    try {
      return `Bearer ${await auth.getAccessToken()}`;
    } catch (error) {
      throw new StillpointError("STORE_DENIED", {
        what: "Cannot get a token for Google Cloud Storage",
        where: keyFile ?? "the credentials of this machine",
        why: error instanceof Error ? error.message : String(error),
        hint: "set GOOGLE_APPLICATION_CREDENTIALS to the key file of a service account",
        cause: error,
      });
    }
  };
}
