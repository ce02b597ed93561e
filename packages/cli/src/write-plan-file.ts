import { writeFile } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";

/** Writes a plan for people to look at, and never over another one: somebody may have looked at that. */
export async function writePlanFile(file: string, text: string): Promise<void> {
  try {
    await writeFile(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    const isThere = error instanceof Error && "code" in error && error.code === "EEXIST";
    throw new StillpointError(isThere ? "CONFLICT" : "INVALID_REQUEST", {
      what: "Cannot write the plan",
      where: file,
      why: isThere ? "there is a file already, which somebody may have looked at" : String(error),
      hint: "name another file",
      cause: error,
    });
  }
}
