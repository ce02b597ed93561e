import { randomBytes } from "node:crypto";
import { access, open } from "node:fs/promises";
import type { Secret } from "@stillpoint/contracts/secret";
import { newPassphrase } from "@stillpoint/repository/keys/new-passphrase";

/** A new file (0600) with 256 random bits, or what is given, unless there is one already. */
export async function makeKeyFile(path: string, content: Secret = newPassphrase(randomBytes)): Promise<boolean> {
  try {
    await using file = await open(path, "wx", 0o600);
    await file.writeFile(`${content.reveal()}\n`);
    await file.sync();
    return true;
  } catch (error) {
    await access(path); // there is one: it is read, and judged, by whoever opens it
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    return false;
  }
}
