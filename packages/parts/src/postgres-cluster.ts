import { randomBytes } from "node:crypto";
import { access, appendFile, chown, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { runToEnd } from "./command.ts";
import type { PostgresPart } from "./postgres-part.ts";
import { giveTo, type ServerUser } from "./server-user.ts";

export const SUPERUSER = "stillpoint";
/** Settings of ours, inside the data directory, included by postgresql.conf. */
export const SETTINGS_FILE = "parts.conf";

export type PostgresCluster = { readonly dataDirectory: string; readonly password: string };

/**
 * The cluster in `dir`, made by initdb if it is not there. It is made under another name first: an initdb that was
 * killed leaves a directory that looks whole.
 */
export async function openCluster(
  part: PostgresPart,
  dir: string,
  user: ServerUser | undefined,
): Promise<PostgresCluster> {
  const dataDirectory = join(dir, "data");
  const passwordFile = join(dir, "password");
  if (!(await exists(dataDirectory))) {
    await writeFile(passwordFile, `${randomBytes(16).toString("hex")}\n`, { mode: 0o600 });
    if (user !== undefined) await chown(passwordFile, user.uid, user.gid);
    await initialise(part, join(dir, "data.making"), passwordFile, user);
    await rename(join(dir, "data.making"), dataDirectory);
  }
  return { dataDirectory, password: (await readFile(passwordFile, "utf8")).trim() };
}

async function initialise(part: PostgresPart, directory: string, passwordFile: string, user: ServerUser | undefined) {
  await rm(directory, { recursive: true, force: true });
  await giveTo(user, directory);
  const as = user ? ["--reuid", user.name, "--regid", String(user.gid), "--init-groups"] : [];
  const initdb = [join(part.binDirectory, "initdb"), "-D", directory, "--data-checksums"];
  const locale = ["--encoding=UTF8", "--locale=C.UTF-8"];
  const login = ["--auth-local=trust", "--auth-host=scram-sha-256", "--username", SUPERUSER, "--pwfile", passwordFile];
  await runToEnd("setpriv", [...as, "--", ...initdb, ...locale, ...login], { cwd: directory });
  await appendFile(join(directory, "postgresql.conf"), `\ninclude_if_exists = '${SETTINGS_FILE}'\n`);
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
