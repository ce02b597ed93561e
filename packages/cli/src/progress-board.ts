import type { progress } from "@stillpoint/contracts/events";
import type { z } from "zod";
import { bytes, rate, ratio, span } from "./figures.ts";

type Progress = z.output<typeof progress.body>;

export type Screen = {
  isTerminal: boolean;
  columns: number;
  write: (text: string) => void;
  /** Milliseconds of a monotonic clock. */
  monotonicMs: () => number;
};

type Line = {
  kind: string;
  step: string;
  bytes: number;
  stored: number;
  sinceMs: number;
  stepMs: number;
  told: string;
};

const BAR = 16;
const SPINNER = ["⠋", "⠙", "⠹", "⠸", "⠼", "⠴", "⠦", "⠧", "⠇", "⠏"];

/**
 * One line for each source, redrawn in place on a terminal; elsewhere a plain line whenever a source enters another
 * step. `tick` redraws, so that a step of which nothing is heard shows that it is alive.
 */
export function progressBoard(screen: Screen) {
  const lines = new Map<string, Line>();
  let drawn = 0;
  let frame = 0;

  function show(source: string, heard: Progress): void {
    const nowMs = screen.monotonicMs();
    const line = lines.get(source) ?? {
      kind: heard.kind,
      step: "",
      bytes: 0,
      stored: 0,
      sinceMs: nowMs,
      stepMs: nowMs,
      told: "",
    };
    lines.set(source, line);
    if (line.step !== heard.step) {
      line.stepMs = nowMs;
      line.bytes = 0;
    }
    line.step = heard.step;
    line.bytes = Math.max(line.bytes, heard.bytes);
    if (heard.storedBytes !== undefined) line.stored = heard.storedBytes;
    if (!screen.isTerminal) tellPlainly(source, line, heard);
  }

  function tellPlainly(source: string, line: Line, heard: Progress): void {
    const done = heard.storedBytes !== undefined;
    const words = done ? `${line.step} stored` : line.step;
    if (words === line.told) return;
    line.told = words;
    const figures = done
      ? `: ${bytes(line.bytes)} read, ${bytes(line.stored)} stored, ${ratio(line.bytes, line.stored)}`
      : "";
    screen.write(`  ${source} (${line.kind}): ${words}${figures}\n`);
  }

  function tick(): void {
    if (!screen.isTerminal || lines.size === 0) return;
    frame += 1;
    const width = Math.max(...[...lines.keys()].map((name) => name.length));
    const rows = [...lines].map(([source, line]) =>
      draw(source.padEnd(width), line, screen.monotonicMs(), frame).slice(0, screen.columns - 1),
    );
    const up = drawn > 0 ? `\u001b[${drawn}A` : "";
    screen.write(`${up}${rows.map((row) => `\u001b[2K${row}`).join("\n")}\n`);
    drawn = rows.length;
  }

  return { show, tick };
}

function draw(source: string, line: Line, nowMs: number, frame: number): string {
  const ms = nowMs - line.stepMs;
  const isDone = line.step === "done";
  const sign = isDone ? "✓" : line.step === "failed" ? "✗" : (SPINNER[frame % SPINNER.length] ?? "");
  // The length of a hot copy is not known before it ends: the bar moves with the bytes instead of promising an end.
  const at = isDone ? BAR : Math.floor(line.bytes / 1_000_000) % BAR;
  const bar = isDone ? "█".repeat(BAR) : `${"░".repeat(at)}█${"░".repeat(BAR - at - 1)}`;
  const stored = line.stored > 0 ? `  ${ratio(line.bytes, line.stored)}` : "";
  return `  ${sign} ${source} ${bar} ${line.step.padEnd(7)} ${bytes(line.bytes).padStart(9)} ${rate(line.bytes, ms).padStart(11)} ${span(ms).padStart(8)}${stored}`;
}
