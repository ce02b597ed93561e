import { mkdir, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";

const INCOMPLETE = "RESTORE-INCOMPLETE";

/** A file in the directory says, to whoever finds it, that it is not whole; it is taken away when the work is done. */
export async function untilWhole<Result>(to: string, what: string, work: () => Promise<Result>): Promise<Result> {
  await mkdir(to, { recursive: true, mode: 0o700 });
  await writeFile(join(to, INCOMPLETE), `The restore of ${what} into this directory has not ended.\n`);
  const result = await work();
  await rm(join(to, INCOMPLETE));
  return result;
}
