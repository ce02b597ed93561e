import { toInstant } from "@stillpoint/contracts/names";
import type { ReadSlot } from "./key-slot.ts";
import { slotTarget } from "./slot-states.ts";

const DAY_MS = 86_400_000;

export type RotationPeriod = {
  /** From a slot's making until it is due. Default: 90 days. */
  periodMs?: number;
  /** How long before that people are told. Default: 14 days. */
  noticeMs?: number;
};
export const ROTATION_PERIOD = { periodMs: 90 * DAY_MS, noticeMs: 14 * DAY_MS } as const satisfies RotationPeriod;

export type KeyDue = {
  slot: string;
  method: string;
  /** What it opens with, in words. */
  target: string;
  label?: string;
  dueAt: string;
  state: "fresh" | "soon" | "due";
};

/** Pure: when each opener is to be replaced, the first to fall due first. Escrow slots are their holders' business. */
export function keyDues(
  slots: readonly ReadSlot[],
  nowMs: number,
  { periodMs = ROTATION_PERIOD.periodMs, noticeMs = ROTATION_PERIOD.noticeMs }: RotationPeriod = {},
): KeyDue[] {
  return slots
    .filter(({ document }) => document.type === "opener")
    .map(({ document }): KeyDue => {
      const dueMs = Date.parse(document.createdAt) + periodMs;
      const state = nowMs >= dueMs ? "due" : nowMs >= dueMs - noticeMs ? "soon" : "fresh";
      const { slot, method, label } = document;
      return {
        slot,
        method,
        target: document.sheet ? "a recovery sheet" : slotTarget(document),
        ...(label === undefined ? {} : { label }),
        dueAt: toInstant(dueMs),
        state,
      };
    })
    .sort((a, b) => (a.dueAt < b.dueAt ? -1 : 1));
}
