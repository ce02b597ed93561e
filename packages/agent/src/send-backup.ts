import { setTimeout as wait } from "node:timers/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { BackupType } from "@stillpoint/contracts/names";
import type { BackupFigures } from "@stillpoint/contracts/point";
import { earlierBy } from "./earlier.ts";
import { sendTree } from "./send-tree.ts";
import type { SendBackup, VaultAddress } from "./session.ts";
import type { Slots } from "./slots.ts";
import type { TaskProgress } from "./task.ts";
import { vaultClient } from "./vault-client.ts";

export type SendSettings = {
  runId: string;
  source: string;
  fenceToken: number;
  /** Ends the sending; the vault forgets what has no manifest. */
  signal: AbortSignal;
  streams: Slots;
  /** A base may take files over from the point before. */
  usesEarlier?: boolean;
  /** Told now and then, and at the end of each try. */
  report: (step: "base" | "finish", backupId: string, bytes: number, storedBytes: number | undefined) => void;
  /** Between the tries, of which there is one more. Default: about a minute in all, in which a vault has started anew. */
  pausesMs?: readonly number[];
};

const PAUSES_MS = [500, 1_000, 2_000, 4_000, 8_000, 15_000, 30_000];
const TAKING_OVER = 2;
const REPORT_EVERY_BYTES = 4 * 1024 * 1024;

/** Sends trees as tars, one stream at a time per slot, a lost answer asked for before a new try. */
export function backupSender(settings: SendSettings): SendBackup {
  const pausesMs = settings.pausesMs ?? PAUSES_MS;
  let tries = 0;
  return (part, type, vault, write, progress) =>
    settings.streams(async () => {
      let takesOver = settings.usesEarlier === true && part === "base";
      for (let attempt = 0; ; attempt += 1) {
        // A refusal may be lost with its connection: what fails and fails again is sent in full.
        takesOver &&= attempt < TAKING_OVER;
        tries += 1;
        const { runId, source, fenceToken } = settings;
        const backupId = `${runId}_${source}_${fenceToken}_${part}${tries}`;
        progress.bytes = 0;
        try {
          const figures = await sendOnce(settings, { part, backupId, type, vault, write, takesOver }, progress);
          settings.report(part, backupId, figures.bytes, figures.storedBytes);
          return figures;
        } catch (error) {
          settings.signal.throwIfAborted();
          if (takesOver && error instanceof StillpointError && error.code === "BASE_GONE") {
            takesOver = false; // in full, at once
            continue;
          }
          const pauseMs = pausesMs[attempt];
          if (pauseMs === undefined || !mayPass(error)) throw error;
          await wait(pauseMs, undefined, { signal: settings.signal });
        }
      }
    });
}

function mayPass(error: unknown): boolean {
  return error instanceof StillpointError && error.retry === "backoff" && error.code !== "DISK_FULL";
}

type Sending = {
  part: "base" | "finish";
  backupId: string;
  type: BackupType;
  vault: VaultAddress;
  write: Parameters<SendBackup>[3];
  takesOver: boolean;
};

async function sendOnce(
  settings: SendSettings,
  { part, backupId, type, vault, write, takesOver }: Sending,
  progress: TaskProgress,
): Promise<BackupFigures> {
  const client = vaultClient(vault.vaultUrl, vault.ticket, settings.signal);
  const before = takesOver ? await client.earlier() : [];
  return await sendTree(
    (tree) => (before.length === 0 ? write(tree) : write(tree, earlierBy(client, before))),
    (tar) => {
      const counted = count(tar.stream, progress, (bytes) => settings.report(part, backupId, bytes, undefined));
      return client.putBackup(backupId, type, counted, before[0]);
    },
    // What is there counts, with its own figures.
    () => client.headBackup(backupId),
  );
}

async function* count(
  stream: AsyncIterable<Uint8Array>,
  progress: TaskProgress,
  report: (bytes: number) => void,
): AsyncGenerator<Uint8Array> {
  let reportedAt = 0;
  for await (const chunk of stream) {
    progress.bytes += chunk.byteLength;
    if (progress.bytes - reportedAt >= REPORT_EVERY_BYTES) {
      reportedAt = progress.bytes;
      report(progress.bytes);
    }
    yield chunk;
  }
}
