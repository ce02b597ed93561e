import type { DriverContext } from "@stillpoint/driver/driver";
import { writeNewFile } from "@stillpoint/driver/new-file";
import { z } from "zod";
import { answeredInTime } from "./answered-in-time.ts";
import { connect } from "./cluster.ts";
import { readCollectionInfo } from "./inventory.ts";
import { formatJson } from "./json.ts";
import { type aliasesLine, type CollectionLine, type endLine, FORMAT, type pointsHeader } from "./points-file.ts";
import { openRequest, sendText } from "./raw-request.ts";
import type { Peers, QdrantServer } from "./server.ts";
import { chosenCollections, readAliasesOf, readCollectionNames } from "./server-content.ts";
import { readVersion } from "./server-version.ts";
import { parseVerbatim } from "./verbatim-json.ts";

export type PointsServer = { url: string; apiKey?: string | undefined };
export type PointsContext = Pick<DriverContext, "secret" | "signal">;
/** Points so far, for a person who waits. */
export type Progress = (points: number) => void;

/** Points asked for at once: fewer where they are large, so that an answer stays within `PAGE_BYTES` or so. */
const PAGE_MOST = 1_000;
const PAGE_FIRST = 50;
const PAGE_BYTES = 4 << 20;

const page = z.object({
  result: z.object({ points: z.array(z.looseObject({ id: z.unknown() })), next_page_offset: z.unknown() }),
});

/** Writes collections of a running server to a new file. Its bytes. */
export async function exportPoints(
  at: PointsServer,
  file: string,
  collections: readonly string[],
  { secret, signal }: PointsContext,
  progress: Progress,
): Promise<number> {
  const peers = connect(at, at.apiKey === undefined ? undefined : secret(at.apiKey));
  const known = await answeredInTime(peers[0].url, signal, (opening) => readCollectionNames(peers, opening));
  const names = chosenCollections(known, collections, peers[0].url);
  return await writeNewFile(file, pointsLines(peers, names, signal, progress), signal);
}

export async function* pointsLines(
  peers: Peers,
  names: readonly string[],
  signal: AbortSignal,
  progress: Progress,
): AsyncGenerator<string> {
  const [server] = peers;
  const { version, isDouble } = await readVersion(server, signal);
  yield line({
    vectors: FORMAT,
    server: isDouble ? `Qdrant test double ${version}` : `Qdrant ${version}`,
    consistency: "fuzzy",
  } satisfies z.infer<typeof pointsHeader>);
  const counts: Record<string, number> = {};
  let all = 0;
  for (const name of names) {
    const { config, payloadSchema } = await readCollectionInfo(server, name, signal);
    yield line({ collection: { name, config, payloadSchema } satisfies CollectionLine });
    let points = 0;
    for await (const { id, vector, payload } of pointsOf(server, name, signal)) {
      yield line({ point: { id, vector, payload } });
      points += 1;
      all += 1;
      progress(all);
    }
    counts[name] = points;
  }
  const aliases = [...(await readAliasesOf(peers, signal))].filter(([, name]) => names.includes(name));
  yield line({ aliases: Object.fromEntries(aliases) } satisfies z.infer<typeof aliasesLine>);
  yield line({ end: counts } satisfies z.infer<typeof endLine>);
}

function line(value: unknown): string {
  return `${formatJson(value)}\n`;
}

async function* pointsOf(server: QdrantServer, name: string, signal: AbortSignal) {
  const path = `/collections/${encodeURIComponent(name)}/points/scroll`;
  const about = { what: "Cannot read a collection's points", where: name, method: "POST" as const, path, signal };
  let limit = PAGE_FIRST;
  let offset: unknown;
  do {
    const body = formatJson({
      limit,
      with_payload: true,
      with_vector: true,
      ...(offset === undefined ? {} : { offset }),
    });
    let text = "";
    for await (const piece of (await openRequest(server, about, sendText(body))).setEncoding("utf8")) text += piece;
    const { result } = page.parse(parseVerbatim(text));
    yield* result.points;
    const bytesEach = text.length / Math.max(1, result.points.length);
    limit = Math.max(1, Math.min(PAGE_MOST, Math.floor(PAGE_BYTES / bytesEach)));
    offset = result.next_page_offset ?? undefined;
  } while (offset !== undefined);
}
