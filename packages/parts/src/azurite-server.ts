import { randomBytes } from "node:crypto";
import { join } from "node:path";
import type { AzuritePart } from "./azurite-part.ts";
import { freePort } from "./free-port.ts";
import { type RunningServer, startServer } from "./server-process.ts";

export type AzuriteServer = RunningServer & {
  /** With the account in its path, as Azurite wants it. */
  readonly endpoint: string;
  readonly account: string;
  readonly accountKey: string;
};
export type AzuriteOptions = { readonly part: AzuritePart; readonly dir: string; readonly port?: number };

/** The client library speaks newer versions of the API than Azurite lists; what we call is in both. */
const QUIETLY = ["--skipApiVersionCheck", "--silent", "--disableTelemetry", "--disableProductStyleUrl"];

/** Azure Blob Storage's API over a directory. */
export async function startAzurite({ part, dir, port: given }: AzuriteOptions): Promise<AzuriteServer> {
  const port = given ?? (await freePort());
  const account = "stillpoint";
  const accountKey = randomBytes(64).toString("base64");
  const address = `http://127.0.0.1:${port}`;
  const server = await startServer({
    name: "Azurite",
    command: process.execPath,
    args: [part.script, "--blobPort", String(port), "--location", dir, ...QUIETLY],
    cwd: dir,
    env: { AZURITE_ACCOUNTS: `${account}:${accountKey}` },
    logFile: join(dir, "azurite.log"),
    user: undefined,
    deathSignal: "SIGKILL",
    stop: [{ signal: "SIGTERM", waitMs: 10_000 }],
    readyWithinMs: 60_000,
    isReady: () => answers(address),
  });
  return Object.assign(server, { endpoint: `${address}/${account}`, account, accountKey } as const);
}

/** Any answer will do: without a signature it is a refusal. */
async function answers(address: string): Promise<boolean> {
  return fetch(address).then(
    async (response) => {
      await response.body?.cancel();
      return true;
    },
    () => false,
  );
}
