import { once } from "node:events";
import { createReadStream, createWriteStream } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";

/** What is held in memory before it goes to disk: values, and their characters. */
export type SortLimits = { values: number; characters: number };

const LIMITS: SortLimits = { values: 250_000, characters: 16 << 20 };

/** Distinct values in the order of their code units, however many: sorted runs on disk, merged. */
export async function* sortedDistinct(
  values: AsyncIterable<string>,
  directory: string,
  limits: SortLimits = LIMITS,
): AsyncGenerator<string> {
  const runs: string[] = [];
  const own = await mkdtemp(join(directory, "sort-"));
  try {
    let held = new Set<string>();
    let characters = 0;
    for await (const value of values) {
      if (held.has(value)) continue;
      held.add(value);
      characters += value.length;
      if (held.size < limits.values && characters < limits.characters) continue;
      runs.push(await writeRun(join(own, `run-${runs.length}`), held));
      held = new Set();
      characters = 0;
    }
    const last = [...held].sort();
    if (runs.length === 0) yield* last;
    else yield* merged([...runs.map(readRun), fromMemory(last)]);
  } finally {
    await rm(own, { recursive: true, force: true });
  }
}

async function writeRun(path: string, values: ReadonlySet<string>): Promise<string> {
  const file = createWriteStream(path, { mode: 0o600 });
  for (const value of [...values].sort()) if (!file.write(`${line(value)}\n`)) await once(file, "drain");
  file.end();
  await once(file, "close");
  return path;
}

/** Some characters that JSON leaves alone end a line for the reader. */
function line(value: string): string {
  return JSON.stringify(value).replace(/[\u2028\u2029]/g, (character) => `\\u${character.charCodeAt(0).toString(16)}`);
}

async function* readRun(path: string): AsyncGenerator<string> {
  for await (const text of createInterface({ input: createReadStream(path) })) {
    const value: unknown = JSON.parse(text);
    if (typeof value !== "string") throw new TypeError("unreachable: a run holds strings");
    yield value;
  }
}

async function* fromMemory(values: readonly string[]): AsyncGenerator<string> {
  yield* values;
}

async function* merged(runs: AsyncGenerator<string>[]): AsyncGenerator<string> {
  try {
    let heads = await Promise.all(runs.map(async (run) => ({ run, next: await run.next() })));
    for (;;) {
      heads = heads.filter(({ next }) => next.done !== true);
      const [first] = heads;
      if (first === undefined) return;
      let least = first.next.value;
      for (const { next } of heads) if (next.done !== true && next.value < least) least = next.value;
      yield least;
      for (const head of heads)
        while (head.next.done !== true && head.next.value === least) head.next = await head.run.next();
    }
  } finally {
    await Promise.all(runs.map((run) => run.return(undefined)));
  }
}
