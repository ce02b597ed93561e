import { StillpointError } from "@stillpoint/contracts/errors";

export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && "code" in error && typeof error.code === "string" ? error.code : undefined;
}

export function isMissing(error: unknown): boolean {
  return codeOf(error) === "ENOENT";
}

/** What reading the source's data directory failed with. */
export function dataError(error: unknown, where: string): unknown {
  const code = codeOf(error);
  if (code === "EACCES" || code === "EPERM") {
    return new StillpointError("SOURCE_DENIED", {
      what: "Cannot read the server's data directory",
      where,
      why: "this process has no right to read it",
      hint: "let the agent's account read it, for example by membership in the server's group",
      cause: error,
    });
  }
  if (code === "ENOENT" || code === "ENOTDIR") {
    return new StillpointError("SOURCE_UNREACHABLE", {
      what: "Cannot read the server's data directory",
      where,
      why: "it is not there",
      hint: "`data` must name the directory that server.directories.data names, as this agent sees it",
      cause: error,
    });
  }
  return error;
}
