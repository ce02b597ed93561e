import type { BodilessEntry } from "@stillpoint/driver/tree";
import type { Xattrs } from "./scan.ts";
import type { Seen } from "./seen.ts";

/** A directory or symbolic link as an entry of a tree. */
export function otherEntry(
  each: Exclude<Seen, { type: "file" }>,
  xattrs: Xattrs | undefined,
): Exclude<BodilessEntry, { type: "unchanged" }> {
  const { path, mode, uid, gid, mtimeMs } = each;
  const common = { path, mode, uid, gid, mtimeMs, ...(xattrs === undefined ? {} : { xattrs }) };
  return each.type === "symlink"
    ? { ...common, type: "symlink", target: each.target }
    : { ...common, type: "directory" };
}
