import type { CheckProgress } from "@stillpoint/repository/check/report";
import { bytes } from "../figures.ts";
import type { World } from "../world.ts";

const TERMINAL_EVERY_MS = 200;
const PLAIN_EVERY_MS = 5_000;
const WORDS = {
  objects: "objects authenticated",
  packs: "packs listed",
  data: "packs read",
  backups: "backups followed",
  points: "points looked at",
} as const satisfies Record<CheckProgress["step"], string>;

/** Says how far a check is; on a terminal in one line that is drawn anew. `end` takes that line away. */
export function showProgress({ isTerminal, error, clock }: Pick<World, "isTerminal" | "error" | "clock">) {
  let saidMs = clock.monotonicMs();
  return {
    tell({ step, done, total, bytes: read }: CheckProgress): void {
      const nowMs = clock.monotonicMs();
      if (nowMs - saidMs < (isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS)) return;
      saidMs = nowMs;
      const of = total === undefined ? "" : ` of ${total}`;
      const line = `  ${done}${of} ${WORDS[step]}${read > 0 ? `, ${bytes(read)}` : ""}`;
      error(isTerminal ? `\r${line}\u001b[K` : `${line}\n`);
    },
    end(): void {
      if (isTerminal) error("\r\u001b[K");
    },
  };
}
