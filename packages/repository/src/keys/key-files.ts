import { randomUUID } from "node:crypto";
import { access, constants, link, open, readdir, realpath, rename, rm, stat } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Secret } from "@stillpoint/contracts/secret";
import { inSecretMount, readKeyFile } from "../key-file.ts";

/** What rotation does to files, so that a test can end it between any two steps. */
export type KeyFiles = {
  read: (path: string) => Promise<Secret>;
  exists: (path: string) => Promise<boolean>;
  /** Whole or not at all, durable, 0600, owned as `like` is; one that is there already stays. */
  create: (path: string, content: Secret, like: string) => Promise<void>;
  /** In one step, durable. */
  replace: (path: string, by: string) => Promise<void>;
};

const PART = ".part";

async function syncDirectory(path: string): Promise<void> {
  await using directory = await open(dirname(path), constants.O_RDONLY);
  await directory.sync();
}

function isCode(error: unknown, code: string): boolean {
  return error instanceof Error && "code" in error && error.code === code;
}

/**
 * A key in a file: whole or not at all, durable, 0600. False where there is one already, which stays. It is written beside its
 * place, under a name of its own: two who make one at once never write into one another's.
 */
export async function createKeyFile(
  path: string,
  content: Secret,
  owner?: { uid: number; gid: number },
): Promise<boolean> {
  const whole = `${path}.${randomUUID()}${PART}`;
  try {
    await using file = await open(whole, "wx", 0o600);
    await file.writeFile(`${content.reveal()}\n`);
    if (owner !== undefined && process.getuid?.() === 0) await file.chown(owner.uid, owner.gid);
    await file.sync();
  } catch (error) {
    await rm(whole, { force: true });
    throw error;
  }
  // A link, for a rename would replace what another process put there meanwhile.
  const isMade = await link(whole, path).then(
    () => true,
    async (error: unknown) => {
      if (isCode(error, "EEXIST")) return false;
      await rm(whole, { force: true });
      throw error;
    },
  );
  await rm(whole, { force: true });
  await syncDirectory(path);
  return isMade;
}

export const keyFiles: KeyFiles = {
  read: readKeyFile,
  exists: async (path) => {
    try {
      await stat(path);
      return true;
    } catch (error) {
      if (isCode(error, "ENOENT")) return false;
      throw error;
    }
  },
  async create(path, content, like) {
    await createKeyFile(path, content, await stat(like));
  },
  async replace(path, by) {
    await rename(by, path);
    // The same secret, or one that came to nothing, where `create` was ended before its last step.
    for (const name of await readdir(dirname(by)))
      if (name.startsWith(`${basename(by)}.`) && name.endsWith(PART))
        await rm(join(dirname(by), name), { force: true });
    await syncDirectory(path);
  },
};

/** Where the file itself lies, and why this process cannot put another in its place; `why` undefined: it can. */
export async function placeOf(keyFile: string): Promise<{ path: string; why?: string }> {
  const path = await realpath(keyFile);
  if (await inSecretMount(keyFile))
    return { path, why: "it is a Kubernetes secret, which is changed in the cluster and not by who mounts it" };
  try {
    await access(path, constants.W_OK);
    await access(dirname(path), constants.W_OK);
    await readdir(dirname(path));
    return { path };
  } catch (error) {
    return { path, why: `this process cannot write it: ${error instanceof Error ? error.message : String(error)}` };
  }
}

export function assertWritable(keyFile: string, why: string | undefined): void {
  if (why === undefined) return;
  throw new StillpointError("KEY_UNREADABLE", {
    what: "Cannot put a new key into the key file",
    where: keyFile,
    why,
    hint: "add a key slot with a new key file (`stillpoint key add`), let the service use it, then remove the old slot",
  });
}
