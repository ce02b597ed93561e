import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import {
  announced,
  type ExportedFile,
  type ExportManifest,
  emptyManifest,
  exportManifest,
  finished,
  manifestText,
  sourceOf,
  sumLine,
} from "./export-manifest.ts";
import { exportManifestName } from "./export-names.ts";
import type { ExportPlace, StagedFile } from "./export-place.ts";

function taken(where: string, why: string): StillpointError {
  return new StillpointError("CONFLICT", {
    what: "Nothing is written over a different file",
    where,
    why,
    hint: "export to another directory or prefix, or move away what lies there",
  });
}

/**
 * What of an export is there, kept beside its files. A file is announced with its sum before it shows: so a later run knows
 * what is this export's own, whole, and what is somebody else's.
 */
export type ExportLedger = {
  readonly manifestName: string;
  manifest: () => ExportManifest;
  /** Its file is there with the sum that was announced. CONFLICT where another is. */
  isThere: (source: PointSource, path: string) => Promise<boolean>;
  /** All of a source is there: none of it has to be made. */
  isWhole: (source: PointSource) => Promise<boolean>;
  publish: (source: PointSource, file: Omit<ExportedFile, "sha256" | "bytes">, staged: StagedFile) => Promise<void>;
  finish: (source: PointSource) => Promise<void>;
  /** The sum of the manifest itself, last. */
  seal: () => Promise<void>;
};

export async function readLedger(place: ExportPlace, point: Point): Promise<ExportManifest | undefined> {
  const name = exportManifestName(point);
  const text = await place.readText(name);
  if (text === undefined) return undefined;
  let parsed: ReturnType<typeof exportManifest.safeParse>;
  try {
    parsed = exportManifest.safeParse(JSON.parse(text));
  } catch {
    throw taken(name, "a file that is no manifest of an export has this name");
  }
  if (!parsed.success) throw taken(name, "a file that is no manifest of an export has this name");
  if (parsed.data.pointId === point.pointId) return parsed.data;
  throw taken(name, `another point of the same second was exported there: ${parsed.data.pointId}`);
}

export async function openLedger(place: ExportPlace, point: Point): Promise<ExportLedger> {
  const name = exportManifestName(point);
  const before = await readLedger(place, point);
  let manifest = before ?? emptyManifest(point);
  if (before === undefined) await place.createText(name, manifestText(manifest));
  let written = manifestText(manifest);

  async function save(next: ExportManifest): Promise<void> {
    manifest = next;
    const text = manifestText(next);
    if (text === written) return;
    await place.replaceText(name, text);
    written = text;
  }

  async function sidecar(path: string, sum: string): Promise<void> {
    const line = sumLine(sum, path);
    const there = await place.readText(`${path}.sha256`);
    if (there !== line) await place.replaceText(`${path}.sha256`, line);
  }

  async function isThere({ source }: PointSource, path: string): Promise<boolean> {
    const there = await place.sumOf(path);
    if (there === undefined) return false;
    const known = sourceOf(manifest, source)?.files.find((each) => each.path === path);
    if (known === undefined) throw taken(path, "a file of this name is there, and it is not this export's");
    if (known.sha256 !== there.sha256)
      throw taken(path, `its SHA-256 is ${there.sha256}, and what was exported has ${known.sha256}`);
    await sidecar(path, there.sha256);
    return true;
  }

  return {
    manifestName: name,
    manifest: () => manifest,
    isThere,
    async isWhole(source) {
      const known = sourceOf(manifest, source.source);
      if (known?.whole !== true) return false;
      let areThere = true;
      for (const { path } of known.files) areThere = (await isThere(source, path)) && areThere;
      return areThere;
    },
    async publish(source, file, staged) {
      const { sha256, bytes } = staged;
      await save(announced(manifest, point, source, { ...file, sha256, bytes }));
      try {
        await staged.publish();
      } catch (error) {
        if (!(error instanceof StillpointError)) throw error;
        // The answer may have got lost: what is there counts.
        const there = await place.sumOf(file.path);
        if (there?.sha256 !== sha256)
          throw error.code === "OBJECT_EXISTS" ? taken(file.path, "somebody else wrote it meanwhile") : error;
      }
      await sidecar(file.path, sha256);
    },
    finish: ({ source }) => save(finished(manifest, point, source)),
    async seal() {
      const sum = await place.sumOf(name);
      if (sum !== undefined) await sidecar(name, sum.sha256);
    },
  };
}
