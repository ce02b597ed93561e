import { StillpointError } from "@stillpoint/contracts/errors";
import { z } from "zod";
import { ask } from "./ask.ts";
import type { QdrantServer } from "./server.ts";

export type ServerVersion = { version: string; isDouble: boolean; runtimeId: string };

const root = z.object({ title: z.string(), version: z.string() });

/** Streams of shards, as we read them, are there from this version on. */
const OLDEST = { major: 1, minor: 14 };

export const DOUBLE_RUNTIME = "qdrant-double";

/** Answered without a key; a wrong one shows at the next question. */
export async function readVersion(server: QdrantServer, signal: AbortSignal): Promise<ServerVersion> {
  const { title, version } = await ask(server, { what: "Cannot reach the Qdrant server", signal }, root, (init) =>
    server.api.root({}, init),
  );
  const isDouble = /^qdrant double\b/i.test(title);
  const runtimeId = isDouble ? DOUBLE_RUNTIME : runtimeOf(version);
  if (runtimeId === undefined || !/qdrant/i.test(title)) {
    throw new StillpointError("SOURCE_UNSUPPORTED", {
      what: "Cannot back this server up",
      where: server.url,
      why: `it calls itself ${JSON.stringify(title)} ${version}`,
      hint: `a Qdrant server of version ${OLDEST.major}.${OLDEST.minor} or later is needed`,
    });
  }
  return { version, isDouble, runtimeId };
}

/** Undefined for a version that we do not read. A server takes snapshots of its own minor version. */
export function runtimeOf(version: string): string | undefined {
  const match = /(\d+)\.(\d+)(?:\.\d+)?/.exec(version);
  const [major, minor] = [Number(match?.[1]), Number(match?.[2])];
  const known = major === OLDEST.major && minor >= OLDEST.minor;
  return known ? `qdrant-${major}.${minor}` : undefined;
}

/** Positive if the first is the newer one. Only numbers count: a pre-release is its release. */
export function compareVersions(one: string, other: string): number {
  const [a, b] = [numbersOf(one), numbersOf(other)];
  const at = a.findIndex((number, index) => number !== b[index]);
  return at === -1 ? 0 : (a[at] ?? 0) - (b[at] ?? 0);
}

function numbersOf(version: string): number[] {
  const found = /(\d+)\.(\d+)(?:\.(\d+))?/.exec(version);
  return [1, 2, 3].map((group) => Number(found?.[group] ?? 0));
}
