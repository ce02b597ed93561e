import { CONFIG_NAME, OBJECT_KINDS, type ObjectKind } from "../format/kinds.ts";

/** Kinds that belong to one target alone: who lives there, and what its collector means to delete. */
export const EXEMPT = ["leases", "condemned"] as const satisfies readonly ObjectKind[];
export type ReplicatedKind = Exclude<ObjectKind, (typeof EXEMPT)[number]>;

/**
 * What an object needs has a lower rank, so that a replica is sound whatever it was cut off at. Within the first ranks the
 * order is that of making a repository: without `config` there is none.
 */
export const RANKS = {
  keys: 0,
  epochs: 1,
  config: 2,
  changes: 3,
  packs: 4,
  tails: 4,
  index: 5,
  backups: 6,
  points: 7,
  proofs: 8,
  holds: 8,
  records: 8,
} as const satisfies Record<ReplicatedKind, number>;

/** From what needs to what is needed: what a listed object needs is then in a later listing. */
export const LISTING_ORDER = (Object.keys(RANKS) as ReplicatedKind[]).sort((a, b) => RANKS[b] - RANKS[a]); // its keys are the kinds

const BY_FOLDER = new Map<string, ObjectKind>(
  (Object.keys(OBJECT_KINDS) as ObjectKind[]).map((kind) => [OBJECT_KINDS[kind].folder, kind]),
);

/** The kind of an object by its name; undefined for what is no part of the repository, such as a probe. */
export function kindOf(name: string): ObjectKind | undefined {
  const slash = name.indexOf("/");
  if (slash < 0) return name === CONFIG_NAME ? "config" : undefined;
  const kind = BY_FOLDER.get(name.slice(0, slash));
  return kind === "config" ? undefined : kind;
}

/** What a listing of the kind begins with. */
export function folderOf(kind: ObjectKind): string {
  return kind === "config" ? CONFIG_NAME : `${OBJECT_KINDS[kind].folder}/`;
}
