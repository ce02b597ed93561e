import { randomUUID } from "node:crypto";
import { type Mark, mark as markSchema } from "@stillpoint/contracts/point";
import { type StoreCheckRow, storeCheckRow, valueRow } from "@stillpoint/contracts/query";
import type { Capture } from "@stillpoint/driver/driver";
import { qdrantDriver } from "../src/qdrant-driver.ts";
import { type Double, finishInto, point } from "./double.ts";

/** Restores what was finished into a throw-away server, and gives its checks and the values at the places. */
export async function rehearse(
  double: Double,
  finish: Capture["finish"],
  mark: Mark,
  places: readonly string[] = [],
): Promise<{ checks: StoreCheckRow[]; values: Map<string, string[]> }> {
  const tree = await double.directory("tree");
  await finishInto(finish, tree);
  const context = double.context(await double.directory("sandbox"));
  // As it comes back from a point's manifest.
  const carried = markSchema.parse(JSON.parse(JSON.stringify(mark)));
  const runtime = { id: "qdrant-double", version: "1.17.1", arch: process.arch, extensions: [], settings: {} };
  await using sandbox = await qdrantDriver.start({ directory: tree, mark: carried, runtime }, context);
  const checks = (await Array.fromAsync(sandbox.query({ type: "store", id: "store" }))).map((row) =>
    storeCheckRow.parse(row),
  );
  const values = new Map<string, string[]>();
  for (const of of places) {
    const rows = await Array.fromAsync(sandbox.query({ type: "values", id: "values", of }));
    values.set(
      of,
      rows.map((row) => valueRow.parse(row).value),
    );
  }
  return { checks, values };
}

export function failures(checks: readonly StoreCheckRow[]): string[] {
  return checks.filter(({ verdict }) => verdict !== "pass").map(({ name, detail }) => `${name}: ${detail}`);
}

export function markRequest(more: Partial<Parameters<Capture["mark"]>[0]> = {}) {
  return { cutId: randomUUID(), budgetMs: 20_000, fenced: true, ...more };
}

/** Upserts one new point after the other, until it is stopped; a point that cannot be written is thrown by what is asked next. */
export function writer(double: Double, collection: string, first: number) {
  let next = first;
  let isRunning = true;
  let failure: { error: unknown } | undefined;
  const run = async () => {
    while (isRunning) {
      await double.call("PUT", `/collections/${collection}/points?wait=true`, { points: [point(next)] });
      next += 1;
    }
  };
  const ended = run().catch((error: unknown) => {
    failure = { error };
  });
  const written = () => {
    if (failure !== undefined) throw failure.error;
    return next - 1;
  };
  const rest = async () => {
    isRunning = false;
    await ended;
  };
  return {
    written,
    async stop() {
      await rest();
      written();
    },
    [Symbol.asyncDispose]: rest,
  };
}
