import { installPackages } from "./apt-packages.ts";
import { missingMaven } from "./java-part.ts";
import type { PartOptions } from "./part-options.ts";
import { missingPostgres } from "./postgres-part.ts";
import { missingPip } from "./python-packages.ts";
import { missingTools } from "./system-tools.ts";

const MISSING = { tools: missingTools, pip: missingPip, postgres: missingPostgres, maven: missingMaven } as const;

export type MachineNeed = keyof typeof MISSING;

/**
 * Installs at once what the machine's distribution has to give for several parts. Each part would do so for itself, one
 * after the other, which took a bare machine three times as long; and each still does where this fails.
 */
export async function installForParts(needs: readonly MachineNeed[], options: PartOptions): Promise<void> {
  const env = options.env ?? process.env;
  const missing = (await Promise.all(needs.map((need) => MISSING[need](env)))).flat();
  if (missing.length === 0 || process.getuid?.() !== 0) return;
  try {
    await installPackages(missing, options);
  } catch (error) {
    options.log?.(`${error instanceof Error ? error.message : String(error)}; trying one by one`);
  }
}
