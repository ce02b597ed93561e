import { constants } from "node:fs";
import { open, readdir } from "node:fs/promises";
import { dirname } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { Secret } from "@stillpoint/contracts/secret";

/** Kubernetes mounts a secret as links into a directory of this name beside them. */
const SECRET_MOUNT = "..data";
const LONGEST = 65_536;

/**
 * Why others than the owner can read a file of this mode; undefined where they cannot. In a Kubernetes secret mount the
 * files are root's, and a process that is not gets them by its group (`fsGroup`, mode 0440).
 */
export function whyExposed(mode: number, isMounted: boolean): string | undefined {
  const bits = mode & 0o777;
  if ((bits & 0o077) === 0 || (bits === 0o440 && isMounted)) return undefined;
  return `its mode is 0${bits.toString(8)}: others can read it`;
}

function hintFor(path: string, isMounted: boolean): string {
  return isMounted
    ? "set `defaultMode: 0400` on the secret's volume; 0440 where the pod has an fsGroup"
    : `keep the key in it and nothing else, then: chmod 600 ${path}`;
}

export async function inSecretMount(path: string): Promise<boolean> {
  return readdir(dirname(path)).then(
    (names) => names.includes(SECRET_MOUNT),
    () => false, // that the directory cannot be read says nothing of the file, which is opened next
  );
}

/** A secret in a file that nobody but its owner can read. Throws KEY_UNREADABLE. */
export async function readKeyFile(path: string): Promise<Secret> {
  const isMounted = await inSecretMount(path);
  try {
    await using file = await open(path, constants.O_RDONLY);
    const { mode, size } = await file.stat();
    const why = whyExposed(mode, isMounted);
    if (why !== undefined) throw new Error(why);
    if (size > LONGEST) throw new Error(`it is ${size} bytes long: that is no key`);
    const text = (await file.readFile("utf8")).replace(/\r?\n$/, "");
    if (text === "") throw new Error("it is empty");
    return new Secret(text);
  } catch (error) {
    throw new StillpointError("KEY_UNREADABLE", {
      what: "Cannot read the key file",
      where: path,
      why: error instanceof Error ? error.message : String(error),
      hint: hintFor(path, isMounted),
      cause: error,
    });
  }
}
