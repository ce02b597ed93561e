import { createHash } from "node:crypto";
import { chown, mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { runToEnd } from "./command.ts";

export type ServerUser = { readonly name: string; readonly uid: number; readonly gid: number };

/** Who a server runs as that refuses root: nobody else while we are not root, the `postgres` account while we are. */
export async function unprivilegedUser(): Promise<ServerUser | undefined> {
  if (process.getuid?.() !== 0) return undefined;
  const name = "postgres";
  const { stdout } = await runToEnd("getent", ["passwd", name]).catch((error: unknown) => {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "There is no account to run PostgreSQL as",
      why: "PostgreSQL refuses to run as root, and this machine has no user named postgres",
      hint: "run as root: adduser --system --group postgres",
      cause: error,
    });
  });
  const [, , uid, gid] = stdout.trim().split(":");
  return { name, uid: Number(uid), gid: Number(gid) };
}

/**
 * A directory for servers that run as another user: `preferred` where that user may walk to it, else one below
 * /var/tmp that belongs to `preferred` by its name (a checkout in root's home is closed to everybody else).
 */
export async function directoryForServers(preferred: string): Promise<string> {
  await mkdir(preferred, { recursive: true });
  const user = await unprivilegedUser();
  if (user === undefined || (await canReach(user, preferred))) return preferred;
  const name = createHash("sha256").update(preferred).digest("hex").slice(0, 12);
  const directory = join("/var/tmp", `stillpoint-${name}`);
  await mkdir(directory, { recursive: true, mode: 0o755 });
  return directory;
}

export async function canReach(user: ServerUser, directory: string): Promise<boolean> {
  const as = ["--reuid", user.name, "--regid", String(user.gid), "--init-groups", "--"];
  return runToEnd("setpriv", [...as, "test", "-x", directory]).then(
    () => true,
    () => false,
  );
}

/** Makes `directory`, and everything in it, the user's own. */
export async function giveTo(user: ServerUser | undefined, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  if (user === undefined) return;
  await chown(directory, user.uid, user.gid);
  for (const entry of await readdir(directory, { recursive: true })) {
    await chown(join(directory, entry), user.uid, user.gid);
  }
}
