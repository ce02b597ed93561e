import type { Lsn } from "../lsn.ts";

/** A file as the server names it when it archives. `partial`: the last segment of a timeline that was left for another. */
export type WalName =
  | { is: "segment" | "partial"; timeline: number; startIn: (segmentBytes: number) => Lsn }
  | { is: "history"; timeline: number }
  /** Written by a base backup, for people. */
  | { is: "label" };

/** Pure: undefined for what is no name of a file that is archived. */
export function parseWalName(name: string): WalName | undefined {
  const hex = (digits: string) => Number.parseInt(digits, 16);
  const [, history] = /^([0-9A-F]{8})\.history$/.exec(name) ?? [];
  if (history !== undefined) return { is: "history", timeline: hex(history) };
  const [, timeline, high, low, rest] = /^([0-9A-F]{8})([0-9A-F]{8})([0-9A-F]{8})(.*)$/.exec(name) ?? [];
  if (timeline === undefined || high === undefined || low === undefined) return undefined;
  if (/^\.[0-9A-F]{8}\.backup$/.test(rest ?? "")) return { is: "label" };
  if (rest !== "" && rest !== ".partial") return undefined;
  const startIn = (segmentBytes: number) => {
    const perHigh = 0x1_0000_0000n / BigInt(segmentBytes);
    return (BigInt(`0x${high}`) * perHigh + BigInt(`0x${low}`)) * BigInt(segmentBytes);
  };
  return { is: rest === "" ? "segment" : "partial", timeline: hex(timeline), startIn };
}
