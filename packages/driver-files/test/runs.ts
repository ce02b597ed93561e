import { randomBytes, randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { filesSource } from "@stillpoint/contracts/source";
import { memoryStore } from "@stillpoint/object-store/memory";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { oneRun, type Run } from "../bench/one-run.ts";

export type { Run };

export const laterClock = (): number => Date.now() + 3_600_000;

/** A file source and a repository in memory. */
export async function runsOf(paths: (home: string) => string[]) {
  const stack = new AsyncDisposableStack();
  const { path: home } = stack.use(await temporaryDirectory("runs"));
  const passphrase = new Secret("a passphrase of the tests");
  const store = memoryStore(Date.now);
  const random = (length: number) => new Uint8Array(randomBytes(length));
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  const repository = stack.use(await openRepository(store, { passphrase, threads: 0 }));
  const source = filesSource.parse({ kind: "files", paths: paths(home) });
  let runs = 0;
  return {
    home,
    repository,
    /** One run on what `before` left. `now`: the agent's clock; by default so far ahead that no change is too young. */
    async run(before: Run | undefined, now = laterClock, between?: () => Promise<void>): Promise<Run> {
      runs += 1;
      const directory = join(home, `own-${runs}`);
      await mkdir(directory);
      return await oneRun(repository, { source, directory, name: String(runs), before: before?.backups, now, between });
    },
    /** The tree of a run in a new directory. */
    async restore({ backups }: Run): Promise<string> {
      const directory = join(home, `restored-${randomUUID()}`);
      await mkdir(directory);
      for (const id of backups) await repository.restoreFiles(id, directory);
      return directory;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
