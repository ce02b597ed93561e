import { access, chmod, mkdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { exclusiveLock } from "./exclusive-lock.ts";
import type { PartOptions } from "./part-options.ts";

/**
 * The directory `<directory>/<name>`, made by `make` if it is not there. `make` fills a temporary directory that gets
 * its name by a rename, so a part is there whole or not at all; of several processes one makes it and the others wait.
 */
export async function fetchOnce(
  options: PartOptions,
  name: string,
  make: (temporary: string) => Promise<void>,
): Promise<string> {
  const target = join(options.directory, name);
  if (await exists(target)) return target;
  await mkdir(options.directory, { recursive: true });
  await using _lock = await exclusiveLock(join(options.directory, `${name}.lock`), () =>
    options.log?.(`${name}: another process is fetching it, waiting`),
  );
  if (await exists(target)) return target;
  const temporary = join(options.directory, `${name}.making`);
  await rm(temporary, { recursive: true, force: true }); // of a process that was killed: nobody else is here now
  await mkdir(temporary);
  try {
    await make(temporary);
    await chmod(temporary, 0o755); // servers that run as another user read their part too
    await rename(temporary, target);
  } finally {
    await rm(temporary, { recursive: true, force: true });
  }
  return target;
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}
