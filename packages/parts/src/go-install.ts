import { join } from "node:path";
import { findOnPath, isExecutable, runToEnd } from "./command.ts";
import type { PartOptions } from "./part-options.ts";

/** Builds a Go program into `binDirectory`. Go's own installer puts it where PATH often does not look. */
export async function goInstall(module: string, binDirectory: string, options: PartOptions): Promise<void> {
  const env = options.env ?? process.env;
  const places = [...(await findOnPath("go", env)), "/usr/local/go/bin/go"];
  let go: string | undefined;
  for (const place of places) if (go === undefined && (await isExecutable(place))) go = place;
  if (go === undefined) throw new Error(`go install ${module}: there is no go on PATH`);
  options.log?.(`go: building ${module} (one to two minutes the first time)`);
  // A build of ours must not need a C compiler, and must not depend on a go.mod of whatever directory we are in.
  await runToEnd(go, ["install", "-trimpath", "-ldflags=-s -w", module], {
    cwd: binDirectory,
    env: { ...env, GOBIN: join(binDirectory), CGO_ENABLED: "0", GO111MODULE: "on" },
  });
}
