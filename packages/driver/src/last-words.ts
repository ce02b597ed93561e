import { open } from "node:fs/promises";

/** The end of a log, for an error's reason. */
export async function lastWords(path: string, bytes = 4096): Promise<string> {
  try {
    await using file = await open(path, "r");
    const { size } = await file.stat();
    const length = Math.min(size, bytes);
    const { buffer } = await file.read(Buffer.alloc(length), 0, length, size - length);
    return buffer.toString("utf8").trim();
  } catch (error) {
    // The reason for the failure is told with or without it.
    return error instanceof Error ? `(${error.message})` : "";
  }
}
