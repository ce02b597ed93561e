import { randomUUID } from "node:crypto";
import type { BackupFigures, Mark } from "@stillpoint/contracts/point";
import type { FilesSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { readTar } from "@stillpoint/driver/tar-reader";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { Earlier, TreeWriter } from "@stillpoint/driver/tree";
import type { Repository } from "@stillpoint/repository/repository";
import { openCapture } from "../src/capture.ts";

export type Run = {
  backups: [string, string];
  bytes: number;
  storedBytes: number;
  /** What the base told: files of it, those that were taken over, bytes that were read of the others. */
  base: { files: number; taken: number; readBytes: number };
};

export type RunOptions = {
  source: FilesSource;
  /** An empty directory of its own. */
  directory: string;
  name: string;
  /** The backups of the run before. */
  before: readonly string[] | undefined;
  now: () => number;
  /** Done when the base is there, before the source is looked at again. */
  between?: (() => Promise<void>) | undefined;
  /** What is done around the mark; by default it is as if a fence held. */
  cut?: ((mark: (fenced: boolean) => Promise<Mark>) => Promise<void>) | undefined;
};

/** A run of a file source into a repository, as an agent and a vault do it, without the services between them. */
export async function oneRun(repository: Repository, options: RunOptions): Promise<Run> {
  const { source, directory, name, before, now, between } = options;
  const cut = options.cut ?? (async (mark) => void (await mark(true)));
  let base = { files: 0, taken: 0, readBytes: 0 };
  const context: DriverContext = {
    directory,
    signal: new AbortController().signal,
    secret: () => {
      throw new TypeError("unreachable: files have no secrets");
    },
    monotonicMs: () => performance.now(),
    now,
    log: (message, fields) => {
      if (message === "base captured") base = fields as typeof base; // as the driver logs them
    },
    tools: {},
  };
  await using capture = await openCapture(source, context);
  const [full, rest] = [`full-${name}`, `rest-${name}`];
  const earlier = before && earlierOf(repository, before);
  const first = await sendTar(repository, full, before?.[0], (tree) => capture.base(tree, earlier));
  await between?.();
  await capture.settle();
  await cut((fenced) => capture.mark({ cutId: randomUUID(), budgetMs: 3_600_000, fenced }));
  const second = await sendTar(repository, rest, undefined, (tree) => capture.finish(tree));
  const storedBytes = first.storedBytes + second.storedBytes;
  return { backups: [full, rest], bytes: first.bytes, storedBytes, base };
}

function earlierOf(repository: Repository, backups: readonly string[]): Earlier {
  return {
    async *read(path) {
      for (const id of backups.toReversed()) {
        for await (const { entry, body } of readTar(repository.readBackup(id, { path }))) {
          if (entry.path === path && entry.type === "file") return yield* body;
        }
      }
      throw new Error(`there is no ${path} in ${backups.join(", ")}`);
    },
  };
}

async function sendTar(
  repository: Repository,
  backupId: string,
  earlier: string | undefined,
  write: (tree: TreeWriter) => Promise<void>,
): Promise<BackupFigures> {
  const writer = createTarWriter();
  const writing = write(writer).then(
    () => writer.end(),
    (error: unknown) => writer.fail(error),
  );
  const runId = "01900000-0000-7000-8000-000000000001";
  const startedAt = new Date().toISOString();
  const head = { backupId, plan: "p", source: "s", kind: "files", type: "full", runId, startedAt } as const;
  const figures = await repository.writeBackup(head, writer.stream, { earlier });
  await writing;
  return figures;
}
