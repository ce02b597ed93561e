import { expect, test } from "vitest";
import { type IntoTarget, type IntoWishes, planInto, unfinishedAlias } from "../src/into-plan.ts";
import { versionFit } from "../src/version-fit.ts";

const point = { collections: ["notes", "products"], aliases: { live: "products", talk: "notes" } };
const target = (collections: Record<string, number>, aliases: Record<string, string> = {}): IntoTarget => ({
  collections: new Map(Object.entries(collections)),
  aliases: new Map(Object.entries(aliases)),
});
const wishes = (more: Partial<IntoWishes> = {}): IntoWishes => ({
  collections: ["products"],
  rename: new Map(),
  stamp: "S",
  inPlace: false,
  keepAliases: false,
  ...more,
});
const renamed = (to: string) => wishes({ rename: new Map([["products", to]]) });
const stepsOf = (of: IntoTarget, asked = wishes()) => planInto(point, of, asked).steps;

test("what is there under a name of ours is whole, unfinished or empty, and each is told from the other", () => {
  expect(stepsOf(target({}))).toEqual([{ from: "products", name: "products-S", step: "make" }]);
  expect(stepsOf(target({ "products-S": 7 }))).toMatchObject([{ step: "keep" }]);
  expect(stepsOf(target({ "products-S": 0 }))).toMatchObject([{ step: "make again" }]);
  expect(stepsOf(target({ "products-S": 7 }, { [unfinishedAlias("products-S")]: "products-S" }))).toMatchObject([
    { step: "make again" },
  ]);
});

test("a name that a person gave is never taken from what has it, but for an unfinished one", () => {
  for (const of of [target({ mine: 7 }), target({ mine: 0 }), target({ other: 1 }, { mine: "other" })])
    expect(() => stepsOf(of, renamed("mine"))).toThrow(expect.objectContaining({ code: "CONFLICT", where: "mine" }));
  const unfinished = target({ mine: 7 }, { [unfinishedAlias("mine")]: "mine" });
  expect(stepsOf(unfinished, renamed("mine"))).toMatchObject([{ name: "mine", step: "make again" }]);
});

test("in place needs to be asked for, names what goes, and is refused where the name is an alias", () => {
  expect(stepsOf(target({ products: 9 }))).toEqual([{ from: "products", name: "products-S", step: "make" }]);
  expect(stepsOf(target({ products: 9 }), wishes({ inPlace: true }))).toEqual([
    { from: "products", name: "products-S", step: "make", replaces: { name: "products", points: 9 } },
  ]);
  const aliased = target({ v2: 9 }, { products: "v2" });
  expect(() => stepsOf(aliased, wishes({ inPlace: true }))).toThrow(expect.objectContaining({ code: "CONFLICT" }));
});

test("only aliases of what is restored are switched, and a mark of something unfinished is none of them", () => {
  const now = target({ products: 9, v1: 3 }, { live: "v1" });
  expect(planInto(point, now, wishes()).aliases).toEqual([{ alias: "live", now: "v1", to: "products-S" }]);
  expect(planInto(point, now, wishes({ collections: [] })).aliases).toHaveLength(2);
  expect(planInto(point, now, wishes({ keepAliases: true })).aliases).toEqual([]);
  const marked = { ...point, aliases: { [unfinishedAlias("products")]: "products" } };
  expect(planInto(marked, now, wishes()).aliases).toEqual([]);
  expect(() => planInto(point, target({ live: 3 }), wishes())).toThrow(expect.objectContaining({ where: "live" }));
});

test("two collections of one name and one that the point does not hold are refused", () => {
  const both = wishes({ collections: [], rename: new Map([["products", "notes-S"]]) });
  expect(() => planInto(point, target({}), both)).toThrow(expect.objectContaining({ where: "notes-S" }));
  const unknown = wishes({ collections: ["gone"] });
  expect(() => planInto(point, target({}), unknown)).toThrow(expect.objectContaining({ code: "NOT_FOUND" }));
});

test("the same and the next minor version take a snapshot, older ones never, others with a warning", () => {
  expect([versionFit("1.17.1", "1.17.1"), versionFit("1.17.1", "1.18.0")]).toEqual([{}, {}]);
  for (const older of ["1.16.4", "0.11.0"]) expect(versionFit("1.17.1", older).refused).toContain(older);
  for (const other of ["1.17.0", "1.19.0", "2.0.0", "dev"]) {
    expect(versionFit("1.17.1", other).refused).toBeUndefined();
    expect(versionFit("1.17.1", other).warning).toContain(other);
  }
});
