import { execFile } from "node:child_process";
import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdir, readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import type { PostgresSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { DriverContext, Sandbox } from "@stillpoint/driver/driver";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import { BASE_PATH, parseBaseFacts } from "../src/base-facts.ts";
import { walPositionOf } from "../src/log-position.ts";
import { postgresDriver } from "../src/postgres-driver.ts";
import { type Recovery, type RecoveryTarget, recoveryMark, tailEntry } from "../src/recovery-target.ts";
import { piecesIn } from "./directory-sink.ts";

/** A base alone, as it is made beside the points. */
export async function takenBase(source: PostgresSource, context: DriverContext, directory: string): Promise<void> {
  await using capture = await postgresDriver.open(source, context);
  await mkdir(directory, { mode: 0o700 });
  const tree = directoryTree(directory);
  await capture.base(tree);
  await tree.finish();
}

/** Lays what was shipped over a copy of the base, by hand, and starts a server that recovers to the target. */
export async function recovered(
  given: { base: string; shipped: string; directory: string },
  target: RecoveryTarget,
  context: DriverContext,
  more: Partial<Recovery> = {},
): Promise<Sandbox> {
  const { base, shipped, directory } = given;
  await promisify(execFile)("cp", ["-a", base, directory]);
  const facts = parseBaseFacts(await readFile(join(directory, BASE_PATH), "utf8"));
  const tree = directoryTree(directory);
  const pieces = await piecesIn(shipped);
  // In their order: a segment that was closed as far as it was goes on with tails. What adds nothing would cut off what lies behind.
  const reached = new Map<string, string>();
  const adding = pieces.filter(({ range: { stream, to } }) => {
    const before = reached.get(stream);
    if (before === undefined || to > before) reached.set(stream, to);
    return before === undefined || to > before;
  });
  for (const { kind, range, path } of adding)
    if (kind === "tail") await tree.add(tailEntry(range, 0, facts.segmentBytes), createReadStream(path));
    else await promisify(execFile)("cp", ["-a", ...(await below(join(path, "pg_wal"))), join(directory, "pg_wal")]);
  await tree.finish();
  const last = pieces.at(-1)?.range;
  if (last === undefined) throw new Error("nothing was shipped");
  const { timeline, at } = walPositionOf({
    stream: last.stream,
    at:
      pieces
        .map(({ range }) => range.to)
        .sort()
        .at(-1) ?? "",
  });
  const ancestry = pieces.flatMap(({ range: { after } }) => (after === undefined ? [] : [walPositionOf(after)]));
  const unique = ancestry.filter(
    (each, index) => ancestry.findIndex((other) => other.timeline === each.timeline) === index,
  );
  const mark = recoveryMark(facts, { target, timeline, until: at, ancestry: unique, ...more }, randomUUID());
  await applyLayout(directory, postgresDriver.layout(await treeFiles(directory), mark));
  const runtime = { id: "pg", version: "", arch: "", extensions: [], settings: {} };
  return await postgresDriver.start({ directory, mark, runtime }, context);
}

async function below(directory: string): Promise<string[]> {
  return (await readdir(directory)).map((name) => join(directory, name));
}
