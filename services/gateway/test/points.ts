import { toInstant, uuidv7 } from "@stillpoint/contracts/names";
import { type Point, point } from "@stillpoint/contracts/point";

const START = Date.UTC(2026, 0, 1);
const id = (kind: number) => uuidv7(START, Buffer.alloc(10, kind));

/** A whole point of two sources. */
export function samplePoint(plan: string): Point {
  const cutId = id(3);
  return point.parse({
    pointId: id(2),
    runId: id(1),
    plan,
    revision: "cd".repeat(32),
    entries: [],
    cut: {
      cutId,
      mode: "align",
      at: toInstant(START),
      consistency: "aligned",
      windowMs: 5,
      skewMs: 1,
      offsetsMs: { config: 1, sessions: 2 },
    },
    sources: ["config", "sessions"].map((source) => ({
      source,
      kind: "files" as const,
      site: "default",
      backups: [`${id(1)}_${source}_1_base1`, `${id(1)}_${source}_1_log1`],
      mark: { cutId, position: "end", detail: {} },
      runtime: { id: "files", version: "1", arch: "x64" },
      bytes: 10,
      storedBytes: 5,
      ms: 1,
      addresses: [],
    })),
    partial: false,
    startedAt: toInstant(START),
    sealedAt: toInstant(START + 1),
  });
}
