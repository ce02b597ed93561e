import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { stillAlive } from "../src/still-alive.ts";

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

function quiet(isTerminal: boolean) {
  const said: string[] = [];
  const clock = { now: Date.now, monotonicMs: () => Date.now() };
  return { said, world: { isTerminal, error: (text: string) => said.push(text), clock } };
}

it("says that a step goes on as often as somebody would wonder, and nothing of a quick one", async () => {
  const { said, world } = quiet(false);
  const { promise, resolve } = Promise.withResolvers<string>();
  const work = stillAlive(world, "stores are starting", () => promise);
  await vi.advanceTimersByTimeAsync(11_000);
  resolve("done");
  expect(await work).toBe("done");
  expect(said).toEqual(["  … stores are starting, 5.0 s\n", "  … stores are starting, 10.0 s\n"]);
  const quick = quiet(false);
  await stillAlive(quick.world, "quick", async () => undefined);
  expect(quick.said).toEqual([]);
});

it("on a terminal it says so in one line, which is gone afterwards, also when the step fails", async () => {
  const { said, world } = quiet(true);
  const { promise, reject } = Promise.withResolvers<never>();
  const work = stillAlive(world, "services", () => promise);
  const failed = expect(work).rejects.toThrow("broken");
  await vi.advanceTimersByTimeAsync(1_000);
  reject(new Error("broken"));
  await failed;
  expect(said).toEqual(["\r  … services, 1.0 s\u001b[K\r", "\r\u001b[K"]);
});
