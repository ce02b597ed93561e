import type { ObjectInfo, ObjectStore } from "@stillpoint/object-store/object-store";
import { CONFIG_NAME, packIdOf } from "../format/kinds.ts";
import { folderOf, LISTING_ORDER, type ReplicatedKind } from "./kinds-replicated.ts";
import { type PackSet, packSet } from "./pack-set.ts";

export type KindFigures = { objects: number; bytes: number };
export type LackingObject = ObjectInfo & { kind: ReplicatedKind };

/** What a listing of both sides shows. No object was read. */
export type Survey = {
  /** By the primary's clock. */
  atMs: number;
  primary: Record<ReplicatedKind, KindFigures>;
  replica: Record<ReplicatedKind, KindFigures>;
  /** What the replica does not have, in the order of listing: what needs comes before what is needed. */
  lacking: LackingObject[];
  /** Under one name, of another length: one of the two is damaged. */
  differing: { name: string; kind: ReplicatedKind; primaryBytes: number; replicaBytes: number }[];
  /** Only the replica has these: swept from the primary, lost by it, or written while it was cut off. */
  strays: LackingObject[];
  replicaPacks: PackSet;
};

/** How far a replica is behind. */
export type Lag = {
  objects: number;
  bytes: number;
  /** How long the primary has had the oldest object that the replica lacks; 0 where it lacks none. */
  seconds: number;
};

export function lagOf({ atMs, lacking }: Pick<Survey, "atMs" | "lacking">): Lag {
  const oldestMs = lacking.reduce((oldest, { modifiedMs }) => Math.min(oldest, modifiedMs), atMs);
  return {
    objects: lacking.length,
    bytes: lacking.reduce((sum, { size }) => sum + size, 0),
    seconds: lacking.length === 0 ? 0 : Math.max(0, (atMs - oldestMs) / 1000),
  };
}

function figures(): Record<ReplicatedKind, KindFigures> {
  return Object.fromEntries(LISTING_ORDER.map((kind) => [kind, { objects: 0, bytes: 0 }])) as Record<
    ReplicatedKind,
    KindFigures
  >; // every kind is in LISTING_ORDER
}

async function* listKind(store: ObjectStore, kind: ReplicatedKind, signal?: AbortSignal): AsyncGenerator<ObjectInfo> {
  if (kind !== "config") return yield* store.list(folderOf(kind), { signal });
  const found = await store.head(CONFIG_NAME, signal);
  if (found !== undefined) yield found;
}

type Pair = { ours: ObjectInfo; theirs?: ObjectInfo } | { ours?: undefined; theirs: ObjectInfo };

/** Two listings in the order of names, side by side. */
async function* sideBySide(ours: AsyncIterable<ObjectInfo>, theirs: AsyncIterable<ObjectInfo>): AsyncGenerator<Pair> {
  const left = ours[Symbol.asyncIterator]();
  const right = theirs[Symbol.asyncIterator]();
  try {
    let [a, b] = await Promise.all([left.next(), right.next()]);
    while (!a.done || !b.done) {
      if (!a.done && !b.done && a.value.name === b.value.name) {
        yield { ours: a.value, theirs: b.value };
        [a, b] = await Promise.all([left.next(), right.next()]);
      } else if (!a.done && (b.done || a.value.name < b.value.name)) {
        yield { ours: a.value };
        a = await left.next();
      } else if (!b.done) {
        yield { theirs: b.value };
        b = await right.next();
      }
    }
  } finally {
    await Promise.all([left.return?.(), right.return?.()]);
  }
}

export type SurveyOptions = {
  /**
   * Leaves the packs out, which are most of all objects: what new index objects list is then found by asking for it, and
   * packs that no index lists are left for a survey of everything.
   */
  withoutPacks?: boolean | undefined;
  signal?: AbortSignal | undefined;
};

/** Lists both sides, and keeps only what differs. */
export async function surveyReplica(
  primary: ObjectStore,
  replica: ObjectStore,
  { withoutPacks = false, signal }: SurveyOptions = {},
): Promise<Survey> {
  const replicaPacks = packSet();
  const survey: Survey = {
    atMs: await primary.now(signal),
    primary: figures(),
    replica: figures(),
    lacking: [],
    differing: [],
    strays: [],
    replicaPacks,
  };
  const count = (side: Record<ReplicatedKind, KindFigures>, kind: ReplicatedKind, { size }: ObjectInfo) => {
    side[kind].objects++;
    side[kind].bytes += size;
  };
  for (const kind of LISTING_ORDER) {
    if (withoutPacks && kind === "packs") continue;
    for await (const { ours, theirs } of sideBySide(listKind(primary, kind, signal), listKind(replica, kind, signal))) {
      if (ours !== undefined) count(survey.primary, kind, ours);
      if (theirs !== undefined) count(survey.replica, kind, theirs);
      if (theirs !== undefined && kind === "packs") replicaPacks.append(packIdOf(theirs.name));
      if (ours === undefined) survey.strays.push({ ...theirs, kind });
      else if (theirs === undefined) survey.lacking.push({ ...ours, kind });
      else if (ours.size !== theirs.size)
        survey.differing.push({ name: ours.name, kind, primaryBytes: ours.size, replicaBytes: theirs.size });
    }
  }
  return survey;
}
