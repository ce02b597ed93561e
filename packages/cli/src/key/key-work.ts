import { userInfo } from "node:os";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { type KeyContext, openKeys } from "@stillpoint/repository/keys/key-context";
import type { RetiredSlot } from "@stillpoint/repository/keys/retire-slot";
import type { KnownSlot } from "@stillpoint/repository/keys/slot-states";
import { slotTarget } from "@stillpoint/repository/keys/slot-states";
import { stillAlive } from "../still-alive.ts";
import type { World } from "../world.ts";
import { openerOf, type RepositoryKeyOptions } from "./key-options.ts";

export type OpenKeyWork = AsyncDisposable & { context: KeyContext; store: ObjectStore };

/** The repository's keys, opened for work on them; its index is not read. */
export async function openKeyWork(world: World, options: RepositoryKeyOptions): Promise<OpenKeyWork> {
  await using opening = new AsyncDisposableStack();
  const store = opening.use(await openObjectStore(options.repository, { environment: world.environment }));
  const opener = await openerOf(world, options);
  const work = { random: world.random, now: world.clock.now, by: userInfo().username };
  const context = await stillAlive(world, "opening the repository", () => openKeys(store, opener, work));
  const opened = opening.move();
  return { context, store, [Symbol.asyncDispose]: () => opened.disposeAsync() };
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
