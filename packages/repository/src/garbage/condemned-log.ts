import { createHash } from "node:crypto";
import { StillpointError } from "@stillpoint/contracts/errors";
import { toldApart } from "../format/damage.ts";
import { type Condemned, condemned, readDocument } from "../format/documents.ts";
import { objectName, packIdOf } from "../format/kinds.ts";
import { OBJECT_IDS } from "../format/object-ids.ts";
import { openObject, sealObject } from "../format/sealed-object.ts";
import { putAndRead } from "../put-and-read.ts";
import type { RepositoryContext } from "../repository-context.ts";
import { type CondemnedState, condemnedState, type Generation } from "./condemned-state.ts";

type LogContext = Pick<RepositoryContext, "store" | "ring" | "random" | "index">;
export type NewGeneration = Partial<Pick<Condemned, "objects" | "spared" | "sweeps" | "withdraws">>;

const FOLDER = objectName("condemned", "");
const PACKS = "packs/";

/** What the collector means to delete. Each object below `condemned/` is read once and kept: it never changes. */
export function condemnedLog({ store, ring, random, index }: LogContext) {
  const read = new Map<string, Generation>();
  let highest = 0;

  async function readOne(name: string, storedMs: number, signal?: AbortSignal): Promise<void> {
    try {
      const bytes = await store.get(name, undefined, signal);
      const id = name.slice(FOLDER.length).split("-", 1)[0] ?? "";
      const document = readDocument(condemned, name, openObject("condemned", id, name, bytes, ring.epochs));
      read.set(name, { name, document, storedMs });
    } catch (error) {
      // Swept since it was listed: what it named is gone, and so are the index objects that name it.
      if (error instanceof StillpointError && error.code === "OBJECT_MISSING") return;
      throw await toldApart(store, error);
    }
  }

  /** What is condemned now. From here on the index takes no condemned pack for a writer. */
  async function load(signal?: AbortSignal): Promise<CondemnedState> {
    const least = highest;
    const listed = new Map<string, number>();
    for await (const { name, modifiedMs } of store.list(FOLDER, { signal })) listed.set(name, modifiedMs);
    for (const name of read.keys()) if (!listed.has(name)) read.delete(name);
    for (const [name, storedMs] of listed) if (!read.has(name)) await readOne(name, storedMs, signal);
    const state = condemnedState([...read.values()]);
    // The newest is never deleted, so that its number is never given out twice.
    if (state.newest < least)
      throw new StillpointError("STORE_UNREACHABLE", {
        what: "Cannot tell what is condemned",
        where: store.url,
        why: `generation ${least} was there before, and the listing of ${FOLDER} lacks it`,
      });
    // Of several who look at once, the one that saw most counts.
    if (state.newest < highest) return state;
    highest = state.newest;
    const packs = [...state.objects.keys()].filter((name) => name.startsWith(PACKS));
    index.condemn(new Set(packs.map(packIdOf)));
    return state;
  }

  /** Appends a generation behind those of `state`. For the collector, and for what spares. */
  async function append(state: CondemnedState, what: NewGeneration, signal?: AbortSignal): Promise<string> {
    const document: Condemned = {
      generation: state.newest + 1,
      objects: [],
      spared: [],
      sweeps: [],
      ...what,
      before: state.generations.map(({ name }) => name),
    };
    const id = OBJECT_IDS.condemned(document.generation);
    const bytes = sealObject("condemned", id, Buffer.from(JSON.stringify(document), "utf8"), ring.epochs, random);
    const name = objectName("condemned", `${id}-${createHash("sha256").update(bytes).digest("hex")}`);
    // One that does not open would stop everybody who writes.
    await putAndRead(store, name, bytes, { signal });
    return name;
  }

  return { load, append };
}
export type CondemnedLog = ReturnType<typeof condemnedLog>;
