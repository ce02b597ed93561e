import { StillpointError } from "@stillpoint/contracts/errors";

/** Refuses every path that could lead out of the directory that it is relative to. */
export function checkTreePath(path: string): string {
  const parts = path.split("/");
  const unsafe =
    path === "" || path.includes("\0") || parts.some((part) => part === "" || part === "." || part === "..");
  if (!unsafe) return path;
  throw new StillpointError("PATH_UNSAFE", {
    what: "Refused a path in a backup's tree",
    where: JSON.stringify(path),
    why: "it is not relative and plain, and could lead out of the destination",
  });
}

/** Whether `path` is `of` or lies below it. */
export function isWithin(path: string, of: string): boolean {
  return path === of || path.startsWith(`${of}/`);
}
