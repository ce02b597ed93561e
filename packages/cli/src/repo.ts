import { randomBytes } from "node:crypto";
import { access, writeFile } from "node:fs/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { readKeyFile } from "@stillpoint/repository/key-file";
import { openRepository } from "@stillpoint/repository/repository";
import type { World } from "./world.ts";

type RepositoryOptions = { repository: string; keyFile: string; json?: boolean };

export async function initialiseRepository(world: World, options: RepositoryOptions): Promise<void> {
  const made = await makeKeyFile(options.keyFile);
  await using store = await openObjectStore(options.repository, { environment: world.environment, create: true });
  await initRepository(store, {
    passphrase: await readKeyFile(options.keyFile),
    random: world.random,
    now: world.clock.now,
  });
  if (options.json)
    world.out(`${JSON.stringify({ repository: store.url, keyFile: options.keyFile, keyFileMade: made })}\n`);
  else world.out(`repository made at ${store.url}\n`);
  if (made)
    world.errorLine(
      `a random passphrase was written to ${options.keyFile}: without a copy of it elsewhere, every backup is lost with this machine`,
    );
}

/** A new file with 256 random bits, unless there is one already. */
export async function makeKeyFile(path: string): Promise<boolean> {
  try {
    await writeFile(path, `${randomBytes(32).toString("base64url")}\n`, { mode: 0o600, flag: "wx" });
    return true;
  } catch (error) {
    await access(path); // there is one: it is read, and judged, by whoever opens it
    if (!(error instanceof Error && "code" in error && error.code === "EEXIST")) throw error;
    return false;
  }
}

export async function checkRepository(world: World, options: RepositoryOptions & { readData: boolean }): Promise<void> {
  await using store = await openObjectStore(options.repository, { environment: world.environment });
  await using repository = await openRepository(store, { passphrase: await readKeyFile(options.keyFile) });
  const report = await repository.check({ readData: options.readData });
  if (options.json) world.out(`${JSON.stringify(report, undefined, 2)}\n`);
  else {
    const { problems, ...counts } = report;
    world.out(
      `${Object.entries(counts)
        .map(([what, count]) => `${what}: ${count}`)
        .join(", ")}\n`,
    );
    for (const each of problems)
      world.out(
        `✗ ${each.object}: ${each.why}${each.backups.length === 0 ? "" : `; hurts ${each.backups.join(", ")}`}\n`,
      );
  }
  if (report.problems.length === 0) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "The repository is damaged",
    where: options.repository,
    why: `${report.problems.length} objects, named above`,
  });
}
