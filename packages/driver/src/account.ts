import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";

export type Account = { uid: number; gid: number };

/** The numbers of an account of this machine. Throws STORE_NOT_INSTALLED if there is none of that name. */
export async function accountOf(user: string): Promise<Account> {
  try {
    const [uid, gid] = await Promise.all(
      ["-u", "-g"].map(async (flag) => Number((await promisify(execFile)("id", [flag, "--", user])).stdout)),
    );
    if (uid === undefined || gid === undefined) throw new TypeError("unreachable: two were asked for");
    return { uid, gid };
  } catch (error) {
    throw new StillpointError("STORE_NOT_INSTALLED", {
      what: "Cannot run a store's server",
      where: `account ${user}`,
      why: "there is no such account here",
      cause: error,
    });
  }
}
