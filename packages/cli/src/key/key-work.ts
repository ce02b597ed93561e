import { userInfo } from "node:os";
import { type KeyContext, openKeys } from "@stillpoint/repository/keys/key-context";
import type { RetiredSlot } from "@stillpoint/repository/keys/retire-slot";
import type { KnownSlot } from "@stillpoint/repository/keys/slot-states";
import { slotTarget } from "@stillpoint/repository/keys/slot-states";
import { openAllTargets } from "../open-targets.ts";
import { stillAlive } from "../still-alive.ts";
import type { World } from "../world.ts";
import type { RepositoryKeyOptions } from "./key-options.ts";

/** `url`: of the target, for another machine. */
export type OpenKeyWork = AsyncDisposable & { context: KeyContext; url: string };

/** The repository's keys on the target that is the primary, opened for work on them; its index is not read. */
export async function openKeyWork(world: World, options: RepositoryKeyOptions): Promise<OpenKeyWork> {
  await using opening = new AsyncDisposableStack();
  const found = await stillAlive(world, "opening the repository", async () => {
    const { primary, opener, silent } = opening.use(await openAllTargets(world, options.repository, options));
    const work = { random: world.random, now: world.clock.now, by: userInfo().username, target: primary.name };
    const context = await openKeys(primary.store, opener, work);
    for (const { name, error } of silent)
      world.errorLine(`${name} cannot be asked which target is the primary: ${error.message}`);
    return { context, url: primary.placeUrl };
  });
  const opened = opening.move();
  return { ...found, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}

export function slotLine({ slot: { document }, state }: KnownSlot): string {
  const { slot, type, label, sheet, createdAt } = document;
  const words = [type, sheet ? "recovery sheet" : slotTarget(document), ...(label === undefined ? [] : [`“${label}”`])];
  return `${slot}  ${state === "active" ? "" : `${state.toUpperCase()} `}${words.join(", ")}, made ${createdAt.slice(0, 10)}`;
}

export function slotFacts({ slot: { document }, state }: KnownSlot) {
  const { slot, type, method, label, sheet = false, createdAt } = document;
  return { slot, state, type, method, target: slotTarget(document), label, sheet, createdAt };
}

export function retiredLine(retired: RetiredSlot): string {
  if (retired.outcome === "deleted") return `key slot ${retired.slot} is removed`;
  return `key slot ${retired.slot} is retired, but the target keeps its object (${retired.why}): whoever has its secret and can read the store can still open it; \`stillpoint key new-epoch\` protects what is written from now on`;
}
