import { StillpointError } from "@stillpoint/contracts/errors";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { keyDues, type RotationPeriod } from "@stillpoint/repository/keys/key-dues";
import { openerFromFile } from "@stillpoint/repository/keys/opener-file";
import { readSlots } from "@stillpoint/repository/keys/read-slots";
import { knownSlots } from "@stillpoint/repository/keys/slot-states";
import { testSlots } from "@stillpoint/repository/keys/test-slots";
import type { World } from "../world.ts";
import type { RepositoryKeyOptions } from "./key-options.ts";
import { openKeyWork, slotFacts, slotLine } from "./key-work.ts";

const DAY_MS = 86_400_000;

export async function listKeys(world: World, options: RepositoryKeyOptions & { unopened: boolean }): Promise<void> {
  if (options.unopened) return listUnopened(world, options);
  await using opened = await openKeyWork(world, options);
  const { context } = opened;
  const { slots, damaged } = await knownSlots(context);
  const dues = new Map(
    keyDues(
      slots.filter(({ state }) => state === "active").map(({ slot }) => slot),
      world.clock.now(),
      rotationPeriod(world),
    ).map((due) => [due.slot, due]),
  );
  const { ring } = context;
  if (options.json) {
    const keys = slots.map((each) => ({ ...slotFacts(each), dueAt: dues.get(each.slot.document.slot)?.dueAt }));
    const facts = {
      repositoryId: ring.repositoryId,
      epoch: ring.epochs.current,
      signingKey: ring.signing.publicKey,
      openedBy: ring.slot.id,
    };
    world.out(`${JSON.stringify({ ...facts, slots: keys, damaged }, undefined, 2)}\n`);
    return;
  }
  world.out(
    `repository ${ring.repositoryId}, key epoch ${ring.epochs.current}, signing key ${ring.signing.publicKey}\n`,
  );
  for (const each of slots) {
    const due = dues.get(each.slot.document.slot);
    const when = due === undefined ? "" : `, ${due.state === "due" ? "DUE since" : "due"} ${due.dueAt.slice(0, 10)}`;
    const own = each.slot.document.slot === ring.slot.id ? "  ← opened by this one" : "";
    world.out(`${slotLine(each)}${when}${own}\n`);
  }
  for (const name of damaged) world.out(`${name}  DAMAGED: take it from another copy of the repository\n`);
}

/** As the vault counts, where its setting is in this environment too. */
function rotationPeriod({ environment }: World): RotationPeriod {
  const days = Number(environment.STILLPOINT_KEY_ROTATION_DAYS || Number.NaN);
  return Number.isInteger(days) && days > 0 ? { periodMs: days * DAY_MS } : {};
}

/** What the slots say of themselves, so that one finds out which key is needed. */
async function listUnopened(world: World, { repository, json }: RepositoryKeyOptions): Promise<void> {
  await using store = await openObjectStore(repository, { environment: world.environment });
  const { slots, damaged } = await readSlots(store);
  const known = slots.map((slot) => ({ slot, state: "active" as const }));
  const names = damaged.map(({ name }) => name);
  if (json) {
    const facts = known.map((each) => ({ ...slotFacts(each), state: undefined }));
    world.out(`${JSON.stringify({ slots: facts, damaged: names }, undefined, 2)}\n`);
    return;
  }
  for (const each of known) world.out(`${slotLine(each)}\n`);
  for (const name of names) world.out(`${name}  DAMAGED\n`);
  world.errorLine(
    "no key was used: this is what the slots say, which anybody who writes to the store could have changed",
  );
}

export async function testKeys(world: World, options: RepositoryKeyOptions & { alsoKeyFile: string[] }): Promise<void> {
  await using opened = await openKeyWork(world, options);
  const { context } = opened;
  const others = await Promise.all(options.alsoKeyFile.map((path) => openerFromFile(path)));
  const tests = await testSlots(context, [context.opener, ...others]);
  if (options.json) {
    const facts = tests.map(({ slot, outcome, why }) => ({
      ...slotFacts({ slot, state: "active" }),
      outcome,
      why,
    }));
    world.out(`${JSON.stringify({ slots: facts }, undefined, 2)}\n`);
  } else
    for (const { slot, outcome, why } of tests) {
      const mark = { opens: "✓", "does not open": "✗", untried: "–" }[outcome];
      world.out(`${mark} ${slotLine({ slot, state: "active" })}: ${outcome}${why === undefined ? "" : ` (${why})`}\n`);
    }
  const broken = tests.filter(({ outcome }) => outcome === "does not open");
  if (broken.length === 0) return;
  throw new StillpointError("VERIFICATION_FAILED", {
    what: "Key slots do not open",
    where: broken.map(({ slot }) => slot.document.slot).join(", "),
    why: "named above",
    hint: "add a new slot for that key, and remove the old one",
  });
}
