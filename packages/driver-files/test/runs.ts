import { randomBytes, randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { Secret } from "@stillpoint/contracts/secret";
import { filesSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { readTar } from "@stillpoint/driver/tar-reader";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { Earlier, TreeWriter } from "@stillpoint/driver/tree";
import { memoryStore } from "@stillpoint/object-store/memory";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { openCapture } from "../src/capture.ts";

export type Run = {
  backups: [string, string];
  storedBytes: number;
  /** What the base told: files of it, those that were taken over, bytes that were read of the others. */
  base: { files: number; taken: number; readBytes: number };
};

/** A file source and a repository, without the services between them. */
export async function runsOf(paths: (home: string) => string[], options: { exclude?: string[] } = {}) {
  const stack = new AsyncDisposableStack();
  const { path: home } = stack.use(await temporaryDirectory("runs"));
  const passphrase = new Secret("a passphrase of the tests");
  const store = memoryStore(Date.now);
  const random = (length: number) => new Uint8Array(randomBytes(length));
  await initRepository(store, { passphrase, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  const repository = stack.use(await openRepository(store, { passphrase, threads: 0 }));
  const source = filesSource.parse({ kind: "files", paths: paths(home), exclude: options.exclude ?? [] });
  let runs = 0;

  const earlierOf = (backups: readonly string[]): Earlier => ({
    async *read(path) {
      for (const id of backups.toReversed()) {
        for await (const { entry, body } of readTar(repository.readBackup(id, { path }))) {
          if (entry.path === path && entry.type === "file") return yield* body;
        }
      }
      throw new Error(`no ${path}`);
    },
  });

  /** One run on what `before` left. `skewMs`: how far the agent's clock is ahead; by default, so that no change is too young. */
  async function run(before: Run | undefined, skewMs = 60_000, between?: () => Promise<void>): Promise<Run> {
    runs += 1;
    const directory = join(home, `own-${runs}`);
    await mkdir(directory);
    let base = { files: 0, taken: 0, readBytes: 0 };
    const context: DriverContext = {
      directory,
      signal: new AbortController().signal,
      secret: () => passphrase,
      monotonicMs: () => performance.now(),
      now: () => Date.now() + skewMs,
      log: (message, fields) => {
        if (message === "base captured") base = fields as typeof base; // as the driver logs them
      },
      tools: {},
    };
    await using capture = await openCapture(source, context);
    const send = (id: string, earlier: string | undefined, write: (tree: TreeWriter) => Promise<void>) =>
      sendTar(repository, id, earlier, write);
    const [full, rest] = [`full-${runs}`, `rest-${runs}`];
    const given = before && earlierOf(before.backups);
    const first = await send(full, before?.backups[0], (tree) => capture.base(tree, given));
    await between?.();
    await capture.settle();
    await capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced: true });
    const second = await send(rest, undefined, (tree) => capture.finish(tree));
    return { backups: [full, rest], storedBytes: first.storedBytes + second.storedBytes, base };
  }

  return {
    home,
    repository,
    run,
    /** The tree of a run in a new directory. */
    async restore({ backups }: Run, name = `restored-${randomUUID()}`): Promise<string> {
      const directory = join(home, name);
      await mkdir(directory);
      for (const id of backups) await repository.restoreFiles(id, directory);
      return directory;
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}

async function sendTar(
  repository: Repository,
  backupId: string,
  earlier: string | undefined,
  write: (tree: TreeWriter) => Promise<void>,
) {
  const writer = createTarWriter();
  const writing = write(writer).then(
    () => writer.end(),
    (error: unknown) => writer.fail(error),
  );
  const runId = "01900000-0000-7000-8000-000000000001";
  const startedAt = new Date().toISOString();
  const kind = "files";
  const head = { backupId, plan: "p", source: "s", kind, type: "full", runId, startedAt } as const;
  const figures = await repository.writeBackup(head, writer.stream, { earlier });
  await writing;
  return figures;
}
