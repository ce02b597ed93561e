import { createReadStream } from "node:fs";
import { access, stat } from "node:fs/promises";
import { join } from "node:path";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { jsonLines } from "@stillpoint/driver/json-lines";
import { fileError, lastLine, writeNewFile } from "@stillpoint/driver/new-file";
import { cancellable, connectSource, hostAndPort } from "./connect.ts";
import type { GraphCounts } from "./graph-record.ts";
import { cutOff, exportLines, graphLines, loadGraph } from "./graph-snapshot.ts";

type Context = Pick<DriverContext, "secret" | "signal">;

/** Writes a server's database to a new file, which shows under its name when it is whole. The file's bytes. */
export async function exportGraph(
  source: Neo4jSource,
  path: string,
  context: Context,
  progress: (lines: number) => void,
): Promise<number> {
  const write = async () => {
    await using connected = await connectSource(source, context);
    const { driver, database, facts } = connected;
    let lines = 0;
    const counted = async function* () {
      for await (const line of graphLines(driver, database, `Neo4j ${facts.version} ${facts.edition}`)) {
        lines += 1;
        if (lines % 1000 === 0) progress(lines);
        yield line;
      }
    };
    return await writeNewFile(path, counted(), context.signal);
  };
  return await cancellable(context, "An export was cancelled", hostAndPort(source.url), write());
}

/** Fills a server's empty database from such a file, or from the directory of a restored export. */
export async function loadGraphFile(
  target: Neo4jSource,
  path: string,
  context: Context,
  progress: (lines: number) => void,
): Promise<GraphCounts> {
  const load = async () => {
    const linesOf = await openLines(path, context.signal).catch((error: unknown) => {
      throw fileError(error, path);
    });
    await using connected = await connectSource(target, context);
    let lines = 0;
    const counted = async function* () {
      for await (const line of linesOf()) {
        lines += 1;
        if (lines % 1000 === 0) progress(lines);
        yield line;
      }
    };
    return await loadGraph(connected.driver, connected.database, counted());
  };
  return await cancellable(context, "A load was cancelled", hostAndPort(target.url), load());
}

/** Refuses what was cut off. An export's own last file is its summary, and a capture that has none is no backup. */
async function openLines(path: string, signal: AbortSignal): Promise<() => AsyncIterable<string>> {
  if ((await stat(path)).isDirectory()) {
    await access(join(path, "summary.json"));
    return () => exportLines(path, signal);
  }
  await requireEnd(path);
  return () => jsonLines(createReadStream(path, { signal }));
}

/** Before anything is loaded of it: a file that was cut off would leave a part of the graph. */
async function requireEnd(path: string): Promise<void> {
  const last = await lastLine(path);
  if (!last.startsWith('{"end":') || !last.endsWith("}}")) throw cutOff(path);
}
