import { runQuietly } from "./run-quietly.mjs";

const PACKAGES = { "libatomic.so.1": "libatomic1", "libstdc++.so.6": "libstdc++6", "libgcc_s.so.1": "libgcc-s1" };

/** The library that a program lacks, by what the loader says when it is run, or undefined. */
export function missingLibrary(stderr) {
  return /error while loading shared libraries: (\S+):/.exec(stderr)?.[1];
}

/**
 * Node's own binary needs a library that a bare Debian or Ubuntu has not (libatomic, since Node 26). Installed where we
 * may; else the person is told what to install.
 */
export async function bringLibrary(run, env, say) {
  const library = missingLibrary(run().stderr);
  if (library === undefined) return;
  const name = PACKAGES[library] ?? library;
  if (process.getuid() !== 0) throw new Error(`Node needs ${library}: run as root: apt-get install ${name}`);
  const apt = { cwd: "/", env: { ...env, DEBIAN_FRONTEND: "noninteractive" }, say };
  const wait = ["-q", "-o", "DPkg::Lock::Timeout=300"];
  await runQuietly("fetching lists of system packages", "apt-get", [...wait, "update"], apt);
  const install = ["-y", "--no-install-recommends", "install", name];
  await runQuietly(`installing ${name}, which Node needs`, "apt-get", [...wait, ...install], apt);
  const still = missingLibrary(run().stderr);
  if (still !== undefined) throw new Error(`Node needs ${still}, which is not there after apt-get install ${name}`);
}
