import { createHash } from "node:crypto";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import { joinShippedSystemLog, layTail } from "@stillpoint/driver-neo4j/lay-log";
import { tailEntry } from "@stillpoint/driver-postgres/recovery-target";
import type { Repository } from "@stillpoint/repository/repository";
import { z } from "zod";

const facts = z.object({ segmentBytes: z.number() });

/** A base with pieces of its log laid over it, as this release does it before the store's own step. Path, length and SHA-256 of each file. */
export async function layRead(
  repository: Repository,
  { source, base, objects }: { source: string; base: string; objects: readonly string[] },
  directory: string,
): Promise<string[]> {
  await mkdir(directory);
  await repository.restoreFiles(base, directory);
  for (const name of objects) {
    const [folder, id] = [name.split("/")[0], name.slice(name.indexOf("/") + 1)];
    if (folder === "backups") {
      await repository.restoreFiles(id, directory);
      await joinShippedSystemLog(directory);
      continue;
    }
    const tail = await repository.readTail(id);
    if (tail === undefined) throw new Error(`${name} is not there`);
    if (source === "graph") await layTail(directory, "neo4j", tail.head, tail.bytes);
    else {
      const read = await readFile(join(directory, "stillpoint/base.json"), "utf8");
      const tree = directoryTree(directory);
      const entry = tailEntry(tail.head, 0, facts.parse(JSON.parse(read)).segmentBytes);
      await tree.add(entry, Readable.from([tail.bytes]));
      await tree.finish();
    }
  }
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  const lines = found
    .filter((entry) => entry.isFile())
    .map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path);
      const hash = createHash("sha256").update(bytes).digest("hex");
      return `${path.slice(directory.length + 1)} ${bytes.length} ${hash}`;
    });
  return (await Promise.all(lines)).sort();
}
