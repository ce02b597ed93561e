import type { TreeItem } from "@stillpoint/driver/tar-entry";
import type { ChunkHint } from "@stillpoint/driver/tree";
import type { TreeRecord } from "./tree-format.ts";

/** An entry as a tree holds it: fields in one order, so that equal entries are equal bytes wherever they come from. */
export function toRecord(entry: TreeItem): TreeRecord {
  if (entry.type === "deleted" || entry.type === "torn") return { type: entry.type, path: entry.path };
  const { path, mode, uid, gid, mtimeMs, xattrs } = entry;
  const values = Object.entries(xattrs ?? {}).map(([name, value]) => [name, value.toString("base64")]);
  const common = {
    path,
    mode,
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    mtimeMs,
    ...(xattrs === undefined ? {} : { xattrs: Object.fromEntries(values) }),
  };
  if (entry.type === "directory") return { ...common, type: "directory" };
  if (entry.type === "symlink") return { ...common, type: "symlink", target: entry.target };
  const { size, hint, offset, identity, link, sparse } = entry;
  return {
    ...common,
    type: "file",
    size,
    hint,
    ...(offset === undefined ? {} : { offset }),
    ...(identity === undefined ? {} : { identity }),
    ...(link === undefined ? {} : { link }),
    ...(sparse === undefined ? {} : { sparse }),
  };
}

/** An entry as the tar's writer takes it. */
export function toEntry(record: TreeRecord): TreeItem {
  if (record.type === "deleted" || record.type === "torn") return record;
  const { xattrs, uid, gid, ...rest } = record;
  const values = Object.entries(xattrs ?? {}).map(([name, value]) => [name, Buffer.from(value, "base64")]);
  const optional = {
    ...(uid === undefined ? {} : { uid }),
    ...(gid === undefined ? {} : { gid }),
    ...(xattrs === undefined ? {} : { xattrs: Object.fromEntries(values) }),
  };
  if (rest.type !== "file") return { ...rest, ...optional };
  const { offset, hint, identity, link, sparse, ...file } = rest;
  return {
    ...file,
    ...optional,
    // A hint that this version does not know was taken as content when it was written.
    hint: hint as ChunkHint,
    ...(offset === undefined ? {} : { offset }),
    ...(identity === undefined ? {} : { identity }),
    ...(link === undefined ? {} : { link }),
    ...(sparse === undefined ? {} : { sparse }),
  };
}
