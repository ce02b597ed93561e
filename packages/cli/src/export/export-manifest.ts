import { consistencyClass, instant, name, sha256, sourceKind, uuid } from "@stillpoint/contracts/names";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import { z } from "zod";

const exportedFile = z.object({
  /** Below the place that was exported to. */
  path: z.string(),
  bytes: z.number().int().nonnegative(),
  sha256,
  format: z.string(),
  madeBy: z.string(),
});
export type ExportedFile = z.infer<typeof exportedFile>;

const exportedSource = z.object({
  source: name,
  kind: sourceKind,
  /** The server's, when the source was captured. */
  version: z.string(),
  /** The source's own position at the cut. */
  position: z.string(),
  fuzzy: z.string().optional(),
  notes: z.array(z.string()),
  /** Every file of it is there. */
  whole: z.boolean(),
  /** Each is named before it shows, so that whoever goes on knows its own from another's. */
  files: z.array(exportedFile),
});
export type ExportedSource = z.infer<typeof exportedSource>;

/** What an export consists of: of its point, for people and programs that know nothing of a repository. */
export const exportManifest = z.object({
  format: z.literal("stillpoint-export"),
  version: z.literal(1),
  pointId: uuid,
  plan: name,
  cut: z.object({
    cutId: uuid,
    at: instant,
    consistency: consistencyClass,
    reasons: z.array(z.string()),
    windowMs: z.number(),
    skewMs: z.number(),
  }),
  /** Every source that the point holds is there. */
  whole: z.boolean(),
  sources: z.array(exportedSource),
  /** Not in the point at all. */
  skipped: z.array(z.object({ source: name, reason: z.string() })),
});
export type ExportManifest = z.infer<typeof exportManifest>;

export function emptyManifest(point: Point): ExportManifest {
  const { cutId, at, consistency, reasons, windowMs, skewMs } = point.cut;
  return {
    format: "stillpoint-export",
    version: 1,
    pointId: point.pointId,
    plan: point.plan,
    cut: { cutId, at, consistency, reasons, windowMs, skewMs },
    whole: false,
    sources: [],
    skipped: point.skipped,
  };
}

export function sourceOf(manifest: ExportManifest, source: string): ExportedSource | undefined {
  return manifest.sources.find((each) => each.source === source);
}

function withSource(manifest: ExportManifest, exported: ExportedSource, point: Point): ExportManifest {
  const others = manifest.sources.filter(({ source }) => source !== exported.source);
  const sources = [...others, exported].sort((a, b) => (a.source < b.source ? -1 : 1));
  const isWhole = (source: string) => sources.some((each) => each.source === source && each.whole);
  return { ...manifest, sources, whole: point.sources.every(({ source }) => isWhole(source)) };
}

/** The file is about to show. One of its name that was announced before never did. */
export function announced(
  manifest: ExportManifest,
  point: Point,
  { source, kind, mark, runtime }: PointSource,
  file: ExportedFile,
): ExportManifest {
  const { position, fuzzy, notes } = mark;
  const files = (sourceOf(manifest, source)?.files ?? []).filter(({ path }) => path !== file.path);
  const own = {
    source,
    kind,
    version: runtime.version,
    position,
    notes,
    whole: false,
    files: [...files, file].sort((a, b) => (a.path < b.path ? -1 : 1)),
  };
  return withSource(manifest, fuzzy === undefined ? own : { ...own, fuzzy }, point);
}

export function finished(manifest: ExportManifest, point: Point, source: string): ExportManifest {
  const found = sourceOf(manifest, source);
  return found === undefined ? manifest : withSource(manifest, { ...found, whole: true }, point);
}

/** The same whatever came first: keys in the order of the schema. */
export function manifestText(manifest: ExportManifest): string {
  return `${JSON.stringify(exportManifest.parse(manifest), undefined, 2)}\n`;
}

/** The line that `sha256sum -c` reads, in the file's own directory. */
export function sumLine(sum: string, path: string): string {
  return `${sum}  ${path.slice(path.lastIndexOf("/") + 1)}\n`;
}
