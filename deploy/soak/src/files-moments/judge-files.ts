/** One change that nobody can see a half of: what each path holds after it; undefined: it is gone. */
export type Step = readonly (readonly [path: string, content: string | undefined])[];

export type Tree = ReadonlyMap<string, string>;

/** Steps that were done when the mark was asked for, and that were begun when it was there. */
export type Bounds = {
  before: number;
  after: number;
  /** All of it is one moment; else each file is of some moment. */
  whole: boolean;
};

const SHOWN = 3;

export function treeAfter(steps: readonly Step[], count: number): Map<string, string> {
  const tree = new Map<string, string>();
  for (const step of steps.slice(0, count)) apply(tree, step);
  return tree;
}

function apply(tree: Map<string, string>, step: Step): void {
  for (const [path, content] of step) {
    if (content === undefined) tree.delete(path);
    else tree.set(path, content);
  }
}

/**
 * What is wrong with a tree that came back: as a whole it is what it was at one moment between the bounds; else each file holds
 * what it held at some moment between them, and none is missing that was there throughout. Pure.
 */
export function judgeFiles(steps: readonly Step[], found: Tree, { before, after, whole }: Bounds): string[] {
  const tree = treeAfter(steps, before);
  const could = new Map<string, Set<string | undefined>>();
  const mayHold = (path: string) => {
    const known = could.get(path) ?? new Set([tree.get(path)]);
    could.set(path, known);
    return known;
  };
  for (const path of [...tree.keys(), ...found.keys()]) mayHold(path);
  let wasSo = isSame(tree, found);
  for (const step of steps.slice(before, after)) {
    for (const [path, content] of step) mayHold(path).add(content);
    apply(tree, step);
    wasSo ||= isSame(tree, found);
  }
  const wrong = [...could].filter(([path, contents]) => !contents.has(found.get(path)));
  if (wrong.length > 0) {
    const told = wrong.slice(0, SHOWN).map(([path, contents]) => {
      const held = [...contents].map(shown).join(" or ");
      return `${path} has ${shown(found.get(path))}, and had ${held}`;
    });
    return [`${wrong.length} files are not as they were: ${told.join("; ")}`];
  }
  return whole && !wasSo ? ["every file is as it was once, and not all at one moment"] : [];
}

function shown(content: string | undefined): string {
  return content === undefined ? "nothing, not even itself" : JSON.stringify(content.slice(0, 40));
}

function isSame(one: Tree, other: Tree): boolean {
  return one.size === other.size && [...one].every(([path, content]) => other.get(path) === content);
}
