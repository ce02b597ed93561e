import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { findOnPath, runToEnd } from "./command.ts";
import { exclusiveLock } from "./exclusive-lock.ts";
import type { PartOptions } from "./part-options.ts";

/** Installs Debian packages where that is possible: as root, with apt. Asks nothing and starts no service. */
export async function installPackages(packages: readonly string[], options: PartOptions): Promise<void> {
  const base = options.env ?? process.env;
  if (process.getuid?.() !== 0) throw new Error(`apt-get install ${packages.join(" ")} needs root`);
  if ((await findOnPath("apt-get", base)).length === 0) throw new Error("there is no apt-get on this machine");
  await mkdir(options.directory, { recursive: true });
  await using _lock = await exclusiveLock(join(options.directory, "apt.lock"), () =>
    options.log?.("apt: another process is installing, waiting"),
  );
  const env = { ...base, DEBIAN_FRONTEND: "noninteractive" };
  const install = ["-y", "-q", "-o", "DPkg::Lock::Timeout=300", "--no-install-recommends", "install", ...packages];
  options.log?.(`apt: installing ${packages.join(" ")}`);
  try {
    await runToEnd("apt-get", install, { env });
  } catch {
    // A fresh machine has no package lists, and an old one has stale ones: both are cured by fetching them.
    await runToEnd("apt-get", ["-q", "-o", "DPkg::Lock::Timeout=300", "update"], { env });
    await runToEnd("apt-get", install, { env });
  }
}
