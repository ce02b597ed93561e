import type { KeyContext } from "./key-context.ts";
import { openSlot, type ReadSlot } from "./key-slot.ts";
import type { Opener } from "./opener.ts";
import { activeSlots } from "./slot-states.ts";

export type SlotTest = {
  slot: ReadSlot;
  /** `untried`: of a kind that none of what was given opens. */
  outcome: "opens" | "does not open" | "untried";
  why?: string;
};

/** Really opens each active slot that one of the openers is for, and compares the key with the repository's. */
export async function testSlots(context: KeyContext, openers: readonly Opener[]): Promise<SlotTest[]> {
  const tests: SlotTest[] = [];
  for (const slot of await activeSlots(context)) tests.push(await testSlot(context, slot, openers));
  return tests;
}

async function testSlot(context: KeyContext, slot: ReadSlot, openers: readonly Opener[]): Promise<SlotTest> {
  const { ring } = context;
  let why: string | undefined;
  for (const opener of openers) {
    if (opener.method !== slot.document.method) continue;
    try {
      const opened = await openSlot(slot, opener, ring.repositoryId);
      if (opened !== undefined) return { slot, outcome: "opens" };
      why ??= `${opener.shown} is not for it`;
    } catch (error) {
      return { slot, outcome: "does not open", why: error instanceof Error ? error.message : String(error) };
    }
  }
  return { slot, outcome: "untried", ...(why === undefined ? {} : { why }) };
}
