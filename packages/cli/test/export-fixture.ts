import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { StillpointError } from "@stillpoint/contracts/errors";
import type { Point, PointSource } from "@stillpoint/contracts/point";
import { Secret } from "@stillpoint/contracts/secret";
import type { SourceSpec } from "@stillpoint/contracts/source";
import type { Driver, DriverContext, Tools } from "@stillpoint/driver/driver";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { initRepository } from "@stillpoint/repository/init-repository";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { program } from "../src/commands.ts";
import type { World } from "../src/world.ts";
import { testWorld } from "./system-fixture.ts";

const PASSPHRASE = "a passphrase of the tests";
export const AT = "2026-01-02T03:04:05.678Z";
const STARTED = "2026-01-02T03:00:00.000Z";
const id = (n: number) => `018f0000-0000-7000-8000-${String(n).padStart(12, "0")}`;
export const POINT_ID = id(1);

export type SourceUnderTest<Spec extends SourceSpec = SourceSpec> = {
  name: string;
  driver: Driver<Spec>;
  spec: Spec;
  secret?: string | ((reference: string) => string);
  tools?: Tools;
  /** The application is quiet. Default: it is. */
  fenced?: boolean;
  /** Something about its backup that the test wants otherwise. */
  change?: (source: PointSource) => PointSource;
};

export const run = promisify(execFile);

/** A repository with one point of the sources, captured by their drivers, and the command line on it. */
export async function startExport() {
  await using opening = new AsyncDisposableStack();
  const { path: directory } = opening.use(await temporaryDirectory("export"));
  const [repositoryPath, keyFile, work] = ["repository", "key", "work"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ]; // three names, three paths
  await mkdir(repositoryPath);
  await writeFile(keyFile, `${PASSPHRASE}\n`, { mode: 0o600 });
  const store = opening.use(await openObjectStore(repositoryPath, { environment: {} }));
  const opener = { passphrase: new Secret(PASSPHRASE) };
  const random = (length: number) => randomBytes(length);
  await initRepository(store, { ...opener, random, now: Date.now, scryptCost: { n: 1024, r: 8, p: 1 } });
  const repository = opening.use(await openRepository(store, { ...opener, threads: 0 }));
  let counter = 100;

  async function storeBackup(
    source: SourceUnderTest,
    type: "full" | "incremental" | "log",
    fill: (tree: TreeWriter) => Promise<void>,
  ) {
    const writer = createTarWriter();
    const filled = fill(writer).then(
      () => writer.end(),
      (error: unknown) => writer.fail(error),
    );
    const backupId = `b${counter++}`;
    const head = { backupId, plan: "shop", source: source.name, kind: source.spec.kind, type, runId: id(9) };
    const figures = await repository.writeBackup({ ...head, startedAt: STARTED }, writer.stream);
    await filled;
    return { backupId, bytes: figures.bytes, storedBytes: figures.storedBytes };
  }

  async function captureSource(source: SourceUnderTest): Promise<PointSource> {
    const own = join(directory, `capture-${counter++}`);
    await mkdir(own, { mode: 0o700 });
    const context: DriverContext = {
      directory: own,
      signal: new AbortController().signal,
      secret: (reference) =>
        new Secret(typeof source.secret === "function" ? source.secret(reference) : (source.secret ?? "")),
      monotonicMs: () => performance.now(),
      now: Date.now,
      log: () => undefined,
      tools: source.tools ?? {},
    };
    await using capture = await source.driver.open(source.spec, context);
    const { base, finish, runtime } = capture.description;
    const backups = base === undefined ? [] : [await storeBackup(source, base, (tree) => capture.base(tree))];
    await capture.settle();
    const mark = await capture.mark({ cutId: id(2), budgetMs: 60_000, fenced: source.fenced ?? true });
    backups.push(await storeBackup(source, finish, (tree) => capture.finish(tree)));
    const bytes = backups.reduce((sum, each) => sum + each.bytes, 0);
    const storedBytes = backups.reduce((sum, each) => sum + each.storedBytes, 0);
    const captured: PointSource = {
      source: source.name,
      kind: source.spec.kind,
      site: "default",
      backups: backups.map(({ backupId }) => backupId),
      // As it comes back from a repository.
      mark: JSON.parse(JSON.stringify(mark)),
      runtime,
      addresses: [],
      bytes,
      storedBytes,
      ms: 1,
    };
    return source.change?.(captured) ?? captured;
  }

  const environment: Record<string, string> = {};
  const where = ["--repository", repositoryPath, "--key-file", keyFile, "--work", work];
  const heard: string[] = [];
  const listeners: ((line: string) => void)[] = [];
  const all = opening.move();
  return {
    directory,
    environment,
    /** Every line of progress. */
    heard,
    onLine: (listener: (line: string) => void) => listeners.push(listener),
    work,
    /** What follows the words of a command. */
    where,
    async seal(sources: SourceUnderTest[], pointId = POINT_ID, at = AT): Promise<Point> {
      const captured: PointSource[] = [];
      for (const source of sources) captured.push(await captureSource(source));
      const cut = { cutId: id(2), mode: "align" as const, at, consistency: "aligned" as const, reasons: [] };
      return await repository.sealPoint({
        pointId,
        runId: id(9),
        plan: "shop",
        revision: "0".repeat(64),
        entries: [],
        cut: { ...cut, windowMs: 1, skewMs: 1, offsetsMs: {} },
        sources: captured,
        skipped: [],
        partial: false,
        startedAt: STARTED,
        sealedAt: at,
      });
    },
    /** What `stillpoint point export …` printed. */
    async export(words: string[], signal = new AbortController().signal): Promise<string> {
      return await this.stillpoint(["point", "export", ...words], where, signal);
    },
    /** What a command printed. `after` comes behind its words. */
    async stillpoint(words: string[], after: string[] = where, signal = new AbortController().signal): Promise<string> {
      const said: string[] = [];
      const world: World = {
        ...testWorld(directory),
        environment,
        home: directory,
        partsDirectory: directory,
        out: (text) => said.push(text),
        errorLine: (line) => {
          heard.push(line);
          for (const listener of listeners) listener(line);
        },
        signal,
      };
      await program(world).parseAsync([...words, ...after], { from: "user" });
      return said.join("");
    },
    [Symbol.asyncDispose]: () => all.disposeAsync(),
  };
}
export type ExportBench = Awaited<ReturnType<typeof startExport>>;

export async function errorOf(work: Promise<unknown>): Promise<StillpointError> {
  const error = await work.then(
    () => undefined,
    (failure: unknown) => failure,
  );
  if (error instanceof StillpointError) return error;
  throw new Error(`no error of ours: ${String(error)}`);
}

/** Every file below a directory, sorted, also those that are hidden. */
export async function filesBelow(directory: string): Promise<string[]> {
  const found = await readdir(directory, { recursive: true, withFileTypes: true });
  return found
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(directory.length + 1))
    .sort();
}

/** What `sha256sum -c` says to every sum below a directory, in the directory of each. */
export async function checkedSums(directory: string): Promise<string[]> {
  const { stdout } = await run("find", [directory, "-name", "*.sha256", "-execdir", "sha256sum", "-c", "{}", ";"]);
  return stdout.trim().split("\n").sort();
}
