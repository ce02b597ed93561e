import { span } from "./figures.ts";
import type { World } from "./world.ts";

const TERMINAL_EVERY_MS = 1_000;
const PLAIN_EVERY_MS = 5_000;

/** Says every now and then that `work` goes on, and for how long it has; nothing where it is quick. */
export async function stillAlive<Result>(
  world: Pick<World, "isTerminal" | "error" | "clock">,
  what: string | (() => string),
  work: () => Promise<Result>,
): Promise<Result> {
  const startedMs = world.clock.monotonicMs();
  const say = () => {
    const words = `  … ${typeof what === "string" ? what : what()}, ${span(world.clock.monotonicMs() - startedMs)}`;
    world.error(world.isTerminal ? `\r${words}\u001b[K\r` : `${words}\n`);
  };
  const timer = setInterval(say, world.isTerminal ? TERMINAL_EVERY_MS : PLAIN_EVERY_MS);
  try {
    return await work();
  } finally {
    clearInterval(timer);
    if (world.isTerminal) world.error("\r\u001b[K");
  }
}
