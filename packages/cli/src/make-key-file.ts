import { randomBytes } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { createKeyFile, keyFiles } from "@stillpoint/repository/keys/key-files";
import { newPassphrase } from "@stillpoint/repository/keys/new-passphrase";

/** A new file (0600) with 256 random bits, or what is given, unless there is one already. */
export async function makeKeyFile(path: string, content: Secret = newPassphrase(randomBytes)): Promise<boolean> {
  try {
    // One that is there is read, and judged, by whoever opens it: its directory need not be ours to write.
    return !(await keyFiles.exists(path)) && (await createKeyFile(path, content));
  } catch (error) {
    throw new StillpointError("KEY_UNREADABLE", {
      what: "Cannot make the key file",
      where: path,
      why: error instanceof Error ? error.message : String(error),
      hint: "name a file in a directory that exists and is yours to write",
      cause: error,
    });
  }
}
