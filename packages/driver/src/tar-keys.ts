/** The pax keys of a backup's tar that are ours. Everything else in it is plain pax, so that any tar reads it. */
export const TAR_KEYS = {
  /** How to chunk the body: `content`, `tar` or `page:<bytes>`. */
  hint: "STILLPOINT.hint",
  /** Where in the file the body begins; the bytes before it are in an earlier backup or entry. */
  offset: "STILLPOINT.offset",
  /** The path, with all below it, is gone. */
  deleted: "STILLPOINT.deleted",
  /**
   * An entry without a body, right after the one that it speaks of: the file changed its length while it was read, so
   * that body was padded or cut. pax keys stand before a body, hence an entry of its own. A further entry of the path
   * replaces both.
   */
  torn: "STILLPOINT.torn",
  /** An entry without a body that is none of the tree's: the stretch of its source's log that the backup holds, as JSON. */
  log: "STILLPOINT.log",
  /** An entry that is none of the tree's: its body is entries without bodies of their own, one JSON object a line. */
  entries: "STILLPOINT.entries",
  /** What the source knows the file's state by. */
  identity: "STILLPOINT.identity",
  /** The path that the file is a hard link to; its bytes are here too. */
  link: "STILLPOINT.link",
  /** `1`: runs of zeros are holes. */
  sparse: "STILLPOINT.sparse",
  /** `<size> <offset>,<length> …`: the body leaves these stretches of zeros out, and the file is of that size. */
  holes: "STILLPOINT.holes",
  /** The body is a tar itself whose bytes come back exactly as they came. */
  opaque: "STILLPOINT.opaque",
} as const;

/** Extended attributes as other tars write them: the value in base64. */
export const XATTR_PREFIX = "LIBARCHIVE.xattr.";
