import { readFile, stat } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";

/** The passphrase in a file that nobody but its owner can read. Throws KEY_UNREADABLE. */
export async function readKeyFile(path: string): Promise<Secret> {
  try {
    const { mode } = await stat(path);
    if ((mode & 0o077) !== 0) throw new Error(`its mode is 0${(mode & 0o777).toString(8)}: others can read it`);
    const text = (await readFile(path, "utf8")).replace(/\r?\n$/, "");
    if (text === "") throw new Error("it is empty");
    return new Secret(text);
  } catch (error) {
    throw new StillpointError("KEY_UNREADABLE", {
      what: "Cannot read the key file",
      where: path,
      why: error instanceof Error ? error.message : String(error),
      hint: `keep the passphrase in it and nothing else, then: chmod 600 ${path}`,
      cause: error,
    });
  }
}
