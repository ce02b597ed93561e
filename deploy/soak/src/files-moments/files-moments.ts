import { mkdir, mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import type { World } from "@stillpoint/cli/world";
import type { Mark } from "@stillpoint/contracts/point";
import { type FilesSource, filesSource } from "@stillpoint/contracts/source";
import { oneRun, type Run } from "@stillpoint/driver-files/bench/one-run";
import type { Repository } from "@stillpoint/repository/repository";
import { below, fraction, type Random, randomOf } from "@stillpoint/sample/random";
import { numbersOf } from "../numbers.ts";
import { ownRepository } from "../own-repository.ts";
import { balancesIn, type FileWriter, startFileWriter } from "./file-writer.ts";
import { judgeFiles } from "./judge-files.ts";

const USAGE = `npm run soak -- files-moments [--restores 20] [--seed N] [--apart 3000]
  --apart N    milliseconds between two points at most`;

const TOP = "tree";

type Soak = { directory: string; source: FilesSource; writer: FileWriter; repository: Repository; random: Random };

/**
 * Points of a tree at drawn moments, its writer held for the mark or not. Held, or where the mark says that all of it is one
 * moment, the tree comes back as it was then and money is conserved; a mark that calls itself fuzzy promises of each file alone
 * that it is as it was at some time of the mark.
 */
export async function soakFilesMoments(world: World, args: readonly string[]): Promise<string[]> {
  const ownSeed = 1 + (world.clock.now() % 1_000_000);
  const { restores, seed, apart } = numbersOf(args, { restores: 20, seed: ownSeed, apart: 3_000 }, USAGE);
  const say = (line: string) => world.out(`${line}\n`);
  await using resources = new AsyncDisposableStack();
  const directory = await mkdtemp(join(tmpdir(), "stillpoint-files-"));
  resources.defer(() => rm(directory, { recursive: true, force: true }));
  const repository = resources.use(await ownRepository(join(directory, "repository")));
  const root = join(directory, TOP);
  await mkdir(root);
  const writer = startFileWriter(root);
  resources.defer(() => writer.stop());
  const random = randomOf("files-moments", seed);
  const budget = { bytes: 1_000_000_000, ms: 60_000 };
  const source = filesSource.parse({ kind: "files", paths: [root], budget });
  say(`files-moments: ${restores} restores, seed ${seed}`);
  const violations: string[] = [];
  let before: Run | undefined;
  for (let round = 1; round <= restores; round += 1) {
    world.signal.throwIfAborted();
    await wait(fraction(random) * apart);
    const isFenced = below(random, 2) === 0;
    const done = await pointAndBack({ directory, source, writer, repository, random }, round, isFenced, before);
    say(`${done.wrong.length === 0 ? "✓" : "✗"} ${round}: ${done.words}`);
    for (const each of done.wrong) say(`    ${each}`);
    violations.push(...done.wrong);
    before = done.run;
  }
  say(`${writer.transfers()} transfers in ${writer.steps.length} changes`);
  return violations;
}

async function pointAndBack(soak: Soak, round: number, isFenced: boolean, earlier: Run | undefined) {
  const { directory, source, writer, repository, random } = soak;
  const own = join(directory, `round-${round}`);
  await mkdir(own);
  let taken: { mark: Mark; before: number; after: number } | undefined;
  const cut = async (take: (fenced: boolean) => Promise<Mark>) => {
    await wait(fraction(random) * 300);
    const release = isFenced ? await writer.hold() : undefined;
    try {
      const before = writer.done();
      const mark = await take(isFenced);
      taken = { mark, before, after: writer.steps.length };
    } finally {
      release?.();
    }
  };
  const name = String(round);
  const run = await oneRun(repository, {
    ...{ source, directory: own, name, before: earlier?.backups, now: Date.now, cut },
  });
  if (taken === undefined) throw new TypeError("unreachable: a run takes its mark");
  const { mark, before, after } = taken;
  const back = join(directory, `back-${round}`);
  await mkdir(back);
  for (const id of run.backups) await repository.restoreFiles(id, back);
  const found = await treeIn(join(back, TOP));
  const whole = mark.fuzzy === undefined;
  const wrong = judgeFiles(writer.steps, found, { before, after, whole });
  if (isFenced && !whole) wrong.push(`it is fuzzy, and its writer was held: ${mark.fuzzy}`);
  const sum = balancesIn(found).reduce((all, balance) => all + balance, 0);
  if (isFenced && sum !== 0) wrong.push(`the balances add up to ${sum}`);
  await Promise.all([own, back].map((path) => rm(path, { recursive: true })));
  const how = isFenced ? "writer held" : whole ? "writer at rest by itself" : "writer going on, fuzzy";
  const { base } = run;
  const words = `${how}: ${mark.position}, ${after - before} changes meanwhile; ${base.taken} of ${base.files} taken over, ${run.storedBytes} bytes stored`;
  return { run, words, wrong };
}

async function treeIn(directory: string): Promise<Map<string, string>> {
  const names = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = names.filter((each) => each.isFile()).map((each) => join(each.parentPath, each.name));
  const read = async (path: string) => [path.slice(directory.length + 1), await readFile(path, "utf8")] as const;
  return new Map(await Promise.all(files.map(read)));
}
