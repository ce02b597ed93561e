import { join } from "node:path";
import type { DriverContext } from "@stillpoint/driver/driver";
import { addDatabaseFile, type CapturedDatabase, checkCopy } from "./captured-database.ts";
import type { FoundDatabase } from "./find-databases.ts";
import type { Holder } from "./holder-client.ts";
import type { WalAddress } from "./wal-address.ts";
import { frameBytes } from "./wal-format.ts";
import { walEnd } from "./wal-index.ts";
import { followWal } from "./wal-log.ts";

export type DatabaseInput = {
  found: FoundDatabase;
  pageSize: number;
  holder: Holder;
  context: DriverContext;
  /** Of this database, for the names of its files in the capture's directory. */
  index: number;
  /** How large the log may grow while it is held. */
  walLimitBytes: number;
};

export interface WalDatabase extends CapturedDatabase {
  readonly mode: "wal";
  /** Between which places of the log the copy stands. */
  readonly copied: { from: WalAddress; to: WalAddress; pageSize: number };
  /** Lets the log be restarted if it has grown past its limit. */
  relieve(): Promise<void>;
}

/**
 * A database in WAL mode. A read transaction is held from before the copy to the end, so nothing that was committed
 * since can leave the log before it was read here.
 */
export async function holdWalDatabase(input: DatabaseInput): Promise<WalDatabase> {
  const { found, pageSize, holder, context, index, walLimitBytes } = input;
  const copyPath = join(context.directory, `${index}.db`);
  const begins = await walEnd(found.path);
  await holder.ask("hold", { path: found.path });
  const copied = { from: begins.address, to: (await walEnd(found.path)).address, pageSize };
  const log = await followWal(`${found.path}-wal`, pageSize, join(context.directory, `${index}.frames`), begins);
  await log.advance();
  log.mayRestart();
  let isCopied = false;
  let marked = 0;
  // What reads the log and what lets it restart take turns.
  let turn: Promise<unknown> = Promise.resolve();
  const inTurn = <Result>(act: () => Promise<Result>): Promise<Result> => {
    const acted = turn.then(act);
    turn = acted.catch(() => undefined);
    return acted;
  };

  const advance = async () => {
    const read = await log.advance();
    await holder.ask("held", { path: found.path });
    return read;
  };
  const limitFrames = Math.ceil(walLimitBytes / frameBytes(pageSize));
  /** The log's length when it was last looked at, and when it is next too long: its file never gets shorter. */
  const last = { frame: 0, due: limitFrames };
  const relieve = async () => {
    try {
      await holder.ask("lock", { path: found.path });
    } catch (error) {
      // A busy writer, or an agent that may only read: the log grows on, and it is tried again.
      const why = error instanceof Error ? error.message : String(error);
      context.log(`cannot let the log of ${found.name} be checkpointed`, { why });
      return;
    }
    // Nobody commits now: what is read next is all there is.
    const read = await log.advance().then(
      () => undefined,
      (error: unknown) => ({ error }),
    );
    const { complete } = await holder.ask("turn", { path: found.path });
    if (read !== undefined) throw read.error;
    if (complete) log.mayRestart();
    context.log(`let the log of ${found.name} be checkpointed`, { complete });
  };

  const addCopy: CapturedDatabase["addCopy"] = async (tree) =>
    await addDatabaseFile(tree, { found, path: copyPath, pageSize });

  return {
    found,
    mode: "wal",
    copied,
    addCopy,
    async copy() {
      if (isCopied) return;
      await inTurn(async () => await holder.ask("copy", { path: found.path, to: copyPath, ifBusy: "lock" }));
      await checkCopy(holder, found, copyPath);
      isCopied = true;
    },
    async settle() {
      await inTurn(advance);
    },
    async mark() {
      const { frames, salts, frame } = await inTurn(advance);
      marked = frames;
      return { mark: { mode: "wal", name: found.name, salts: [...salts], frame, frames } };
    },
    async finish(tree, withCopy, logPath = `${found.name}-wal`) {
      if (withCopy) await addCopy(tree);
      if (marked === 0) return { frames: 0 };
      const { frames, size, body } = log.file(marked);
      const { mode, uid, gid } = found;
      const entry = {
        type: "file",
        path: logPath,
        size,
        hint: "content",
        mode,
        uid,
        gid,
        mtimeMs: context.now(),
      } as const;
      await tree.add(entry, body);
      return { frames };
    },
    async countCopy() {
      // The copy is the base alone; its rows say nothing of the mark.
      return undefined;
    },
    async relieve() {
      await inTurn(async () => {
        const { frame } = await advance();
        if (frame < last.frame) last.due = limitFrames;
        last.frame = frame;
        if (frame < last.due) return;
        last.due = frame + limitFrames;
        await relieve();
      });
    },
    async [Symbol.asyncDispose]() {
      await turn;
      await log[Symbol.asyncDispose]();
    },
  };
}
