import { randomUUID } from "node:crypto";
import { mkdir } from "node:fs/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { PostgresSource } from "@stillpoint/contracts/source";
import { directoryTree } from "@stillpoint/driver/directory-tree";
import type { Capture, DriverContext, Sandbox } from "@stillpoint/driver/driver";
import { applyLayout, treeFiles } from "@stillpoint/driver/layout";
import { postgresDriver } from "../src/postgres-driver.ts";

export type Captured = { directory: string; mark: Mark; capture: Capture["description"] };

/** What happens at the source between the steps of a capture. */
export type Happenings = {
  duringBase?: () => Promise<void>;
  beforeMark?: () => Promise<void>;
  afterMark?: () => Promise<void>;
};

/** Captures into a directory, as base and log would be extracted over one another. */
export async function captured(
  source: PostgresSource,
  context: DriverContext,
  directory: string,
  happenings: Happenings = {},
): Promise<Captured> {
  await using capture = await postgresDriver.open(source, context);
  await mkdir(directory, { mode: 0o700 });
  const tree = directoryTree(directory);
  let began = false;
  await capture.base({
    async add(entry, body) {
      if (!began) await happenings.duringBase?.();
      began = true;
      return await tree.add(entry, body);
    },
    covers: tree.covers,
  });
  await happenings.beforeMark?.();
  const mark = await marked(capture);
  await happenings.afterMark?.();
  await capture.finish(tree);
  await tree.finish();
  return { directory, mark, capture: capture.description };
}

export async function marked(capture: Capture): Promise<Mark> {
  await capture.settle();
  return await capture.mark({ cutId: randomUUID(), budgetMs: 60_000, fenced: true });
}

export async function laidOut({ directory, mark }: Captured): Promise<void> {
  await applyLayout(directory, postgresDriver.layout(await treeFiles(directory), mark));
}

export async function started(it: Captured, context: DriverContext): Promise<Sandbox> {
  return await postgresDriver.start({ directory: it.directory, mark: it.mark, runtime: it.capture.runtime }, context);
}

/** The store checks' verdicts by their names. */
export async function verdictsOf(sandbox: Sandbox): Promise<Record<string, { verdict: string; detail: string }>> {
  const rows = await Array.fromAsync(sandbox.query({ type: "store", id: "store" }));
  return Object.fromEntries(
    rows.flatMap((row) => ("verdict" in row ? [[row.name, { verdict: row.verdict, detail: row.detail }]] : [])),
  );
}
