import { installPackages } from "./apt-packages.ts";
import { findOnPath } from "./command.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";

/** Programs of the system that servers and their isolation need, and the package each comes in. */
const TOOLS = { setpriv: "util-linux", unshare: "util-linux", nsenter: "util-linux", ip: "iproute2" } as const;

export async function ensureSystemTools(options: PartOptions): Promise<void> {
  const missing = await missingTools(options.env ?? process.env);
  if (missing.length === 0) return;
  await firstThatWorks(`system tools (${missing.join(", ")})`, `run as root: apt-get install ${missing.join(" ")}`, [
    async () => {
      await installPackages(missing, options);
      const still = await missingTools(options.env ?? process.env);
      if (still.length > 0) throw new Error(`${still.join(", ")} installed, but its programs are not on PATH`);
    },
  ]);
}

/** The packages of the tools that are not there. */
export async function missingTools(env: NodeJS.ProcessEnv): Promise<string[]> {
  const missing = new Set<string>();
  // Debian keeps `ip` in /sbin, which is not on everybody's PATH.
  const wide = { ...env, PATH: `${env.PATH ?? ""}:/usr/sbin:/sbin` };
  for (const [tool, name] of Object.entries(TOOLS)) {
    if ((await findOnPath(tool, wide)).length === 0) missing.add(name);
  }
  return [...missing];
}
