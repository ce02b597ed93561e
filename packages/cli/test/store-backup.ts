import { randomUUID } from "node:crypto";
import type { LogRange } from "@stillpoint/contracts/log";
import { toInstant } from "@stillpoint/contracts/names";
import type { SourceSpec } from "@stillpoint/contracts/source";
import { createTarWriter, type TarWriter } from "@stillpoint/driver/tar-writer";
import type { Repository } from "@stillpoint/repository/repository";

/** As an agent and a vault do it together. */
export async function storeBackup(
  repository: Repository,
  { source, spec }: { source: string; spec: SourceSpec },
  backupId: string,
  type: "full" | "log",
  write: (tree: TarWriter) => Promise<void>,
  log?: LogRange,
): Promise<void> {
  const tar = createTarWriter();
  const written = write(tar).then(
    () => tar.end(),
    (error: unknown) => tar.fail(error),
  );
  const head = { backupId, plan: "shop", source, kind: spec.kind, type, runId: randomUUID() };
  const startedAt = toInstant(Date.now());
  await repository.writeBackup({ ...head, startedAt, ...(log === undefined ? {} : { log }) }, tar.stream);
  await written;
}
