import { createReadStream, createWriteStream } from "node:fs";
import { access, link, open, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Neo4jSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import { cancellable, connectSource, hostAndPort } from "./connect.ts";
import { codeOf } from "./file-error.ts";
import type { GraphCounts } from "./graph-record.ts";
import { cutOff, exportLines, graphLines, loadGraph } from "./graph-snapshot.ts";
import { jsonLines } from "./json-lines.ts";

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
    const partial = `${path}.partial`;
    try {
      const file = createWriteStream(partial, { mode: 0o600, flush: true });
      await pipeline(Readable.from(counted()), file, { signal: context.signal });
      // Unlike a rename, this takes nothing away that stands there.
      await link(partial, path);
    } catch (error) {
      throw fileError(error, path);
    } finally {
      await rm(partial, { force: true });
    }
    return (await stat(path)).size;
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

/** Far more than the last line, with its counts, takes. */
const END_BYTES = 4096;

/** Before anything is loaded of it: a file that was cut off would leave a part of the graph. */
async function requireEnd(path: string): Promise<void> {
  await using file = await open(path);
  const { size } = await file.stat();
  const length = Math.min(size, END_BYTES);
  const { buffer, bytesRead } = await file.read(Buffer.alloc(length), 0, length, size - length);
  const last = buffer.toString("utf8", 0, bytesRead).trimEnd().split("\n").at(-1) ?? "";
  if (!last.startsWith('{"end":') || !last.endsWith("}}")) throw cutOff(path);
}

function fileError(error: unknown, where: string): unknown {
  const code = codeOf(error);
  if (error instanceof StillpointError || code === undefined || !/^E[A-Z]+$/.test(code)) return error;
  return new StillpointError(code === "EEXIST" ? "CONFLICT" : "INVALID_REQUEST", {
    what: "Cannot use a graph's file",
    where,
    why: error instanceof Error ? error.message : code,
    hint: code === "EEXIST" ? "name a file that is not there yet" : "name a file that this account may use",
    cause: error,
  });
}
