import { cp, readFile } from "node:fs/promises";
import type { Mark } from "@stillpoint/contracts/point";
import type { Capture } from "@stillpoint/driver/driver";
import type { LogPiece } from "@stillpoint/driver/recover";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { sqliteDriver } from "../src/sqlite-driver.ts";
import { driverContext } from "./app.ts";
import { type Bench, extracted, listing } from "./capturing.ts";
import type { DirectorySink } from "./sink.ts";

type Driver = Pick<typeof sqliteDriver, "open">;

/** A capture that may rest on what a sink holds, as an agent opens it. */
export async function openResting(
  bench: Bench,
  sink: DirectorySink,
  pattern: string,
  driver: Driver = sqliteDriver,
  askFlush: () => void = () => undefined,
): Promise<Capture> {
  const context = driverContext(await bench.fresh(), new AbortController().signal);
  return await driver.open(bench.source(pattern), context, {
    heldPlace: async (serves) => {
      askFlush();
      return await waitFor("a place of the log serves", async () => {
        const held = await sink.held();
        return held !== undefined && (await serves(held)) && held;
      });
    },
  });
}

/** The point's tree: the base, over it the finish, and the log in between, laid out. What the finish brought is named. */
export async function restoredPoint(
  bench: Bench,
  { base, finish, mark, sink }: { base: string; finish: string; mark: Mark; sink: DirectorySink },
): Promise<{ directory: string; mark: Mark }> {
  const directory = await bench.fresh();
  for (const tree of [base, finish]) await cp(tree, directory, { recursive: true });
  if (mark.log === undefined || sqliteDriver.recover === undefined) throw new Error("it does not rest on the log");
  const served = new Set(await sink.log());
  const kept = (await sink.kept()).filter(({ path }) => served.has(path));
  const log = kept.map(({ path, stream, from, to }): LogPiece => {
    return { type: "tail", range: { stream, from, to }, read: async () => await readFile(path) };
  });
  const { place, target } = mark.log;
  const input = {
    directory,
    base: { stream: place.stream, from: place.at, to: place.at },
    log,
    target,
    marked: place,
    cutId: mark.cutId,
  };
  const { detail } = await sqliteDriver.recover(input, { signal: new AbortController().signal });
  return { directory, mark: { ...mark, detail } };
}

/** What a capture gives at its finish, and the names of it. */
export async function finished(bench: Bench, capture: Capture): Promise<{ finish: string; added: string[] }> {
  const { added, ...tree } = listing();
  await capture.finish(tree);
  const finish = await bench.fresh();
  await extracted(finish, (into) => capture.finish(into));
  return { finish, added };
}
