import { chmod, mkdir } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Extract, restoreTree } from "@stillpoint/agent/restore-tree";
import { watched } from "@stillpoint/agent/watched";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import type { DriverContext, Tools } from "@stillpoint/driver/driver";
import type { PortableWishes } from "@stillpoint/driver/portable";
import { claimDirectory, reapSandboxes } from "@stillpoint/driver/sandbox-record";
import { driverOf, portableOf } from "../drivers.ts";
import { type LogSource, pointLogFrom } from "../log-pieces.ts";
import { secretReader } from "../secret-reader.ts";
import type { World } from "../world.ts";
import type { ExportLedger } from "./export-ledger.ts";
import { exportName, exportStem } from "./export-names.ts";
import type { ExportPlace } from "./export-place.ts";

/** Files that were written, and that were there already. */
export type SourceFigures = { written: number; kept: number; bytes: number };

export type ExportPorts = {
  point: Point;
  place: ExportPlace;
  ledger: ExportLedger;
  extract: Extract;
  log: LogSource;
  tools: Tools;
  workDirectory: string;
  wishes: PortableWishes;
  /** What is done now, and bytes since the last call. */
  progress: (step: string, bytes: number) => void;
};

/** Where trees are restored to unless a directory is named; what exports that were killed left there is taken away. */
export async function openWorkDirectory(named: string | undefined): Promise<string> {
  const directory = named ?? join(tmpdir(), `stillpoint-export-${process.getuid?.() ?? 0}`);
  // Servers run as an account of their own, which must get through to what it is given.
  await mkdir(directory, { recursive: true, mode: 0o711 });
  await reapSandboxes(directory);
  return directory;
}

function contextOf(world: World, tools: Tools, directory: string): DriverContext {
  return {
    directory,
    signal: world.signal,
    secret: secretReader(world),
    monotonicMs: world.clock.monotonicMs,
    now: world.clock.now,
    log: () => undefined, // figures for an agent's log; here the progress says what a person needs
    tools,
  };
}

/** Restores one source, has its own tools make their files of it, and writes those that are not there yet. */
export async function exportSource(world: World, source: PointSource, ports: ExportPorts): Promise<SourceFigures> {
  const { point, place, ledger, extract, log, tools, progress } = ports;
  const figures: SourceFigures = { written: 0, kept: 0, bytes: 0 };
  const stem = exportStem(point, source);
  await place.clear(stem);
  await using home = await claimDirectory(ports.workDirectory, "export");
  await chmod(home.path, 0o711);
  const [tree, own] = [join(home.path, "tree"), join(home.path, "own")];
  await mkdir(own, { mode: 0o700 });
  const progressed = (bytes: number) => progress("restoring", bytes);
  const { mark } = await restoreTree(tree, source.backups, source.mark, {
    extract,
    driver: await driverOf(source.kind),
    readLog: pointLogFrom(log, { plan: point.plan, source: source.source }),
    signal: world.signal,
    // A tree is what it was with its owners; a server's data belongs to whoever runs it.
    keepOwners: source.kind === "files" && process.getuid?.() === 0,
    progress: progressed,
  });
  const names = new Set<string>();
  const portable = await portableOf(source.kind);
  const input = { directory: tree, mark, runtime: source.runtime };
  // A server that starts and recovers says nothing until its first file is asked for.
  progress("bringing it up", 0);
  for await (const file of portable(input, contextOf(world, tools, own), ports.wishes)) {
    const path = exportName(stem, file);
    if (names.has(path)) throw new StillpointError("CONFLICT", { what: "Two files would have one name", where: path });
    names.add(path);
    if (await ledger.isThere(source, path)) {
      figures.kept += 1;
      continue;
    }
    // A dump is made whole before its first byte comes.
    progress(`making ${path}`, 0);
    const content = watched(file.content(), (bytes) => progress(`writing ${path}`, bytes));
    await using staged = await place.stage(path, content, source.bytes);
    await ledger.publish(source, { path, format: file.format, madeBy: file.madeBy }, staged);
    figures.written += 1;
    figures.bytes += staged.bytes;
  }
  await ledger.finish(source);
  return figures;
}
