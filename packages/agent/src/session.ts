import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogPosition } from "@stillpoint/contracts/log";
import type { BackupType } from "@stillpoint/contracts/names";
import type { BackupFigures, Mark } from "@stillpoint/contracts/point";
import type { Capture } from "@stillpoint/driver/driver";
import type { Earlier, TreeWriter } from "@stillpoint/driver/tree";
import { startTask, type Task, type TaskProgress } from "./task.ts";

export type VaultAddress = { vaultUrl: string; ticket: string };

/** Sends one backup: `write` fills its tree, `part` is `base` or `finish`, and each try has an id of its own. */
export type SendBackup = (
  part: "base" | "finish",
  type: BackupType,
  vault: VaultAddress,
  write: (tree: TreeWriter, earlier?: Earlier) => Promise<void>,
  progress: TaskProgress,
) => Promise<BackupFigures>;

/** A base that is there already, whose log another ships. */
export type StandingBase = {
  backupId: string;
  bytes: number;
  /** What the base consists of. */
  files: Earlier;
  /** Waits until the repository holds a place of the log, above the base, that serves; undefined: none came in time. */
  heldPlace(serves: (held: LogPosition) => Promise<boolean>): Promise<LogPosition | undefined>;
  /** Resolves when the repository holds the log from the base up to the place; rejects where it does not get there. */
  reached(place: LogPosition, progress: TaskProgress): Promise<{ logBytes: number }>;
};

type Finished = { backups: BackupFigures[]; logBytes: number };

export type SessionOptions = {
  standing?: StandingBase | undefined;
  /** A base of its own is stored. */
  baseMade?: (() => Promise<unknown>) | undefined;
};

/**
 * The steps of one capture, each idempotent by its cut: asked twice, a step runs once. A newer cut replaces what an
 * older one fixed; an older one is refused. Knows no bus and no HTTP.
 */
export function captureSession(capture: Capture, send: SendBackup, { standing, baseMade }: SessionOptions = {}) {
  let base: Task<BackupFigures[]> | undefined;
  let settling: { cutId: string; task: Task<void> } | undefined;
  let finishing: { cutId: string; task: Task<Finished> } | undefined;
  let isBehind = false;
  let newestRevision = 0;
  let marked: { cutId: string; mark: Promise<Mark> } | undefined;

  function startBase(vault: VaultAddress): Task<BackupFigures[]> {
    const type = capture.description.base;
    return startTask("base", async (progress) => {
      if (type === undefined) return [];
      const sent = await send("base", type, vault, (tree, earlier) => capture.base(tree, earlier), progress);
      await baseMade?.();
      return [sent];
    });
  }

  return {
    ready(vault: VaultAddress, cutId: string | undefined) {
      base ??= startBase(vault);
      const based = base.state();
      if (based.state !== "done" || cutId === undefined) return based;
      if (settling?.cutId !== cutId) settling = { cutId, task: startTask("settle", () => capture.settle()) };
      const settled = settling.task.state();
      return settled.state === "done" ? based : settled;
    },

    async cut(request: { cutId: string; revision: number; budgetMs: number; fenced: boolean }): Promise<Mark> {
      if (request.revision < newestRevision) {
        throw new StillpointError("CONFLICT", {
          what: "Cannot take an older cut",
          where: request.cutId,
          why: `revision ${request.revision} comes before ${newestRevision}, which this session has seen`,
        });
      }
      newestRevision = request.revision;
      if (marked?.cutId !== request.cutId) {
        finishing = undefined;
        marked = { cutId: request.cutId, mark: capture.mark(request) };
      }
      return marked.mark;
    },

    finish(cutId: string, vault: VaultAddress) {
      if (marked?.cutId !== cutId) {
        throw new StillpointError("CONFLICT", {
          what: "Cannot finish a cut that this session did not take",
          where: cutId,
          why: marked === undefined ? "it took none" : `its newest is ${marked.cutId}`,
        });
      }
      if (finishing?.cutId !== cutId) {
        const mark = marked.mark;
        const task = startTask("finish", async (progress) => {
          const { log } = await mark;
          const sent = await send(
            "finish",
            capture.description.finish,
            vault,
            (tree) => capture.finish(tree),
            progress,
          );
          if (standing === undefined || log === undefined) return { backups: [sent], logBytes: 0 };
          progress.doing = "log";
          const { logBytes } = await standing.reached(log.place, progress).catch((error: unknown) => {
            isBehind = true;
            throw error;
          });
          return { backups: [sent], logBytes };
        });
        finishing = { cutId, task };
      }
      return finishing.task.state();
    },

    /** The log was not shipped up to a mark: only a session that carries it itself can go on. */
    get isBehind() {
      return isBehind;
    },
  };
}
export type CaptureSession = ReturnType<typeof captureSession>;
