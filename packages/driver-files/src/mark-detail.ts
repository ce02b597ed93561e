import { z } from "zod";

/** What a files mark holds beside its counts. */
export const filesMarkDetail = z.object({
  /** Absent: some were read after the cut, and how many there were is not known. */
  files: z.number().int().nonnegative().optional(),
});

/** What the mark of a bucket holds beside that. */
export const bucketMarkDetail = z.object({
  bucket: z.object({
    name: z.string(),
    /** What the captured keys begin with: empty, or ends in `/`. */
    prefix: z.string(),
  }),
});

/** The list of every file at the mark, an entry of the last backup: one JSON object a line. */
export const LIST_PATH = ".stillpoint/files.ndjson";
export const listLine = z.object({
  path: z.string(),
  size: z.number().int().nonnegative(),
  sha256: z.string(),
  /** False: it changed while it was read, so its hash is only that of what was sent. */
  steady: z.boolean(),
  /**
   * The state that the base's entry of it has: where the next run finds the same, the file is taken over unread. Absent: it
   * changed while the base was made or just before, or lies in another backup.
   */
  mtimeMs: z.number().optional(),
  identity: z.string().optional(),
});
export type ListLine = z.infer<typeof listLine>;
