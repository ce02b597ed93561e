import {
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  truncateSync,
  writeSync,
} from "node:fs";
import { dirname } from "node:path";
import { z } from "zod";

const write = z.object({
  seq: z.number(),
  id: z.string(),
  replaces: z.number().optional(),
  removes: z.object({ id: z.string(), seq: z.number() }).optional(),
  relatesTo: z.array(z.string()),
});

/** What happened, in the order in which it happened. */
export const journalEntry = z.discriminatedUnion("event", [
  z.object({ event: z.literal("started"), sequence: z.number(), at: z.string() }),
  z.object({ event: z.literal("issued"), write, at: z.string() }),
  z.object({ event: z.literal("acknowledged"), seq: z.number() }),
  /** Quiet was confirmed: what was acknowledged above is before this fence, what is issued below is after it. */
  z.object({ event: z.literal("confirmed"), fenceId: z.string(), sequence: z.number(), at: z.string() }),
  z.object({ event: z.literal("released"), fenceId: z.string(), heldThroughout: z.boolean(), at: z.string() }),
  z.object({ event: z.literal("expired"), fenceId: z.string(), at: z.string() }),
]);
export type JournalEntry = z.infer<typeof journalEntry>;

export type Journal = {
  /** What an earlier life left. */
  readonly before: Unfinished;
  append(entry: JournalEntry): void;
  close(): void;
};
type Issued = Extract<JournalEntry, { event: "issued" }>;
/** Writes that were issued and never acknowledged, in order, and the highest sequence number ever issued. */
export type Unfinished = { issued: Issued[]; sequence: number };

/** About a day of writes at the default rate. */
const MAX_BYTES = 64_000_000;

/**
 * One JSON document a line, appended before the act that it announces. It outlives the process, not the machine's power:
 * the stores' own durability is not at stake, only which writes are to be finished after a restart.
 */
export function openJournal(path: string, maxBytes = MAX_BYTES): Journal {
  mkdirSync(dirname(path), { recursive: true });
  let bytes = dropCutLine(path);
  const before = unfinished(readJournal(path));
  const underWay = new Map(before.issued.map((entry) => [entry.write.seq, entry]));
  let descriptor = openSync(path, "a");
  function put(entry: JournalEntry): void {
    const line = `${JSON.stringify(entry)}\n`;
    writeSync(descriptor, line);
    bytes += line.length;
  }
  /** The new journal begins with what is under way, and takes the old one's place in one step: a restart reads one or the other. */
  function begin(): void {
    closeSync(descriptor);
    descriptor = openSync(`${path}.next`, "w");
    bytes = 0;
    for (const entry of underWay.values()) put(entry);
    rmSync(`${path}.1`, { force: true });
    linkSync(path, `${path}.1`);
    renameSync(`${path}.next`, path);
  }
  return {
    before,
    append(entry) {
      put(entry);
      if (entry.event === "issued") underWay.set(entry.write.seq, entry);
      if (entry.event === "acknowledged") underWay.delete(entry.seq);
      if (bytes >= maxBytes) begin();
    },
    close() {
      closeSync(descriptor);
    },
  };
}

/** What a kill cut short announced nothing that was done. Left there, it would spoil the line after it. */
function dropCutLine(path: string): number {
  if (!existsSync(path)) return 0;
  const end = readFileSync(path).lastIndexOf("\n") + 1;
  truncateSync(path, end);
  return end;
}

/** The journal of a sample that may be running: a last line that is not whole is left out. */
export function readJournal(path: string): JournalEntry[] {
  if (!existsSync(path)) return [];
  const lines = readFileSync(path, "utf8").split("\n");
  lines.pop();
  return lines.map((line) => journalEntry.parse(JSON.parse(line)));
}

export function unfinished(entries: readonly JournalEntry[]): Unfinished {
  const left = new Map<number, Issued>();
  let sequence = 0;
  for (const entry of entries) {
    if (entry.event === "issued") {
      left.set(entry.write.seq, entry);
      sequence = Math.max(sequence, entry.write.seq);
    }
    if (entry.event === "acknowledged") left.delete(entry.seq);
  }
  return { issued: [...left.values()].sort((one, other) => one.write.seq - other.write.seq), sequence };
}
