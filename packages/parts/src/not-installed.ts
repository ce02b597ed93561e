import { StillpointError } from "@stillpoint/contracts/errors";

/** A part that cannot be had: every way that was tried, each with its reason, and what the person can do. */
export function notInstalled(part: string, reasons: readonly string[], hint: string): StillpointError {
  return new StillpointError("STORE_NOT_INSTALLED", {
    what: `${part} is not there and could not be fetched`,
    why: reasons.join("; "),
    hint,
  });
}

/** The first way that works. The ways that did not are the reasons when none does. */
export async function firstThatWorks<Part>(
  part: string,
  hint: string,
  ways: readonly (() => Promise<Part>)[],
): Promise<Part> {
  const reasons: string[] = [];
  for (const way of ways) {
    try {
      return await way();
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw notInstalled(part, reasons, hint);
}
