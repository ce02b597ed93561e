import { setTimeout as delay } from "node:timers/promises";

/**
 * Asks until the answer is neither false nor undefined nor null, and returns it. The limit only turns a test that would
 * hang into one that says what it waited for; nothing is concluded from how long it took.
 */
export async function waitFor<Answer>(
  what: string,
  condition: () => Answer | Promise<Answer>,
  limitMs = 90_000,
): Promise<Exclude<Answer, false | undefined | null>> {
  const deadline = performance.now() + limitMs;
  for (;;) {
    const answer = await condition();
    // The three values are excluded by the test before: TypeScript does not narrow a type parameter.
    if (answer !== false && answer !== undefined && answer !== null) {
      return answer as Exclude<Answer, false | undefined | null>;
    }
    if (performance.now() > deadline) throw new Error(`waited ${limitMs} ms in vain until ${what}`);
    await delay(20);
  }
}
