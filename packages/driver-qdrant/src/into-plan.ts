import { StillpointError } from "@stillpoint/contracts/errors";

/** What a restore into a running server was asked for. */
export type IntoWishes = {
  /** Of the point; all of them where none is named. */
  collections: readonly string[];
  /** From a collection of the point to the name it shall have; others are called by their name and `stamp`. */
  rename: ReadonlyMap<string, string>;
  /** Of the point's cut, so that asking twice means the same names. */
  stamp: string;
  /** What has the name is replaced, once the snapshots were loaded beside it and verified. */
  inPlace: boolean;
  keepAliases: boolean;
};

/** What the server holds now. */
export type IntoTarget = {
  /** With the points that the server thinks each has. */
  collections: ReadonlyMap<string, number>;
  aliases: ReadonlyMap<string, string>;
};

/** What is done about a name: the collection is made; what a broken attempt left is removed first; it is there already. */
export type NameStep = "make" | "make again" | "keep";

export type IntoStep = {
  /** In the point. */
  from: string;
  /** Where it is loaded and verified. */
  name: string;
  step: NameStep;
  /** In place: the name that it has in the end, and the points that are there now; absent where none is. */
  replaces?: { name: string; points: number | undefined };
};

export type IntoPlan = {
  steps: IntoStep[];
  /** Aliases that are set when everything is verified, all in one step. */
  aliases: { alias: string; now: string | undefined; to: string }[];
};

/** An alias that says of a collection that it is not whole yet. It goes in the same step in which the others are switched. */
const UNFINISHED = "stillpoint-unfinished.";

export function unfinishedAlias(name: string): string {
  return `${UNFINISHED}${name}`;
}

/** Pure: what would be done. Throws where the server holds what would be in the way. */
export function planInto(
  point: { collections: readonly string[]; aliases: Readonly<Record<string, string>> },
  target: IntoTarget,
  wishes: IntoWishes,
): IntoPlan {
  requireKnown(point.collections, [...wishes.collections, ...wishes.rename.keys()]);
  const wanted = wishes.collections.length === 0 ? point.collections : wishes.collections;
  const steps = wanted.map((from) => stepOf(from, target, wishes));
  requireDistinct(steps);
  const finals = new Map(steps.map(({ from, name, replaces }) => [from, replaces?.name ?? name]));
  const aliases = Object.entries(wishes.keepAliases ? {} : point.aliases).flatMap(([alias, collection]) => {
    const to = finals.get(collection);
    const now = target.aliases.get(alias);
    if (to === undefined || alias.startsWith(UNFINISHED)) return [];
    if (target.collections.has(alias)) throw inTheWay(alias, "it is an alias of the point, and a collection here");
    return now === to ? [] : [{ alias, now, to }];
  });
  return { steps, aliases };
}

function stepOf(from: string, target: IntoTarget, { rename, stamp, inPlace }: IntoWishes): IntoStep {
  const given = rename.get(from);
  const beside = `${from}-${stamp}`;
  if (!inPlace) {
    const name = given ?? beside;
    return { from, name, step: nameStep(name, target, given === undefined) };
  }
  const name = given ?? from;
  if (target.aliases.has(name))
    throw inTheWay(name, `it is an alias of ${target.aliases.get(name)}`, "restore beside it: leave --in-place out");
  return {
    from,
    name: beside,
    step: nameStep(beside, target, true),
    replaces: { name, points: target.collections.get(name) },
  };
}

/** `isOurs`: the name was made by us, of the point's cut, so that what has it was made by a restore of the same point. */
function nameStep(name: string, target: IntoTarget, isOurs: boolean): NameStep {
  if (target.aliases.has(name)) throw inTheWay(name, `it is an alias of ${target.aliases.get(name)}`);
  const points = target.collections.get(name);
  if (points === undefined) return "make";
  if (target.aliases.get(unfinishedAlias(name)) === name) return "make again";
  // Killed between its making and the alias that says so.
  if (isOurs && points === 0) return "make again";
  if (isOurs) return "keep";
  throw inTheWay(name, `a collection of ${points} points has that name`);
}

function inTheWay(
  where: string,
  why: string,
  hint = "give another name: --rename; or replace it: --in-place",
): StillpointError {
  return new StillpointError("CONFLICT", { what: "Nothing was restored", where, why, hint });
}

function requireKnown(known: readonly string[], named: readonly string[]): void {
  const unknown = named.find((name) => !known.includes(name));
  if (unknown === undefined) return;
  throw new StillpointError("NOT_FOUND", {
    what: "The point does not hold that collection",
    where: unknown,
    why: `it holds ${known.join(", ") || "none"}`,
  });
}

function requireDistinct(steps: readonly IntoStep[]): void {
  const names = steps.flatMap(({ name, replaces }) => [name, ...(replaces === undefined ? [] : [replaces.name])]);
  const twice = names.find((name, at) => names.indexOf(name) !== at);
  if (twice === undefined) return;
  throw new StillpointError("INVALID_REQUEST", { what: "Two collections would have one name", where: twice });
}
