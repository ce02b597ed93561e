import { expect, test } from "vitest";
import { flushAsks } from "../src/flush-asks.ts";

test("an ask wakes whoever takes the signal first, however often it comes, and is not answered by what began before it", () => {
  const asks = flushAsks();
  const first = asks.next();
  expect(first.aborted).toBe(false);
  asks.ask();
  expect(first.aborted).toBe(true);
  const second = asks.next();
  expect(second.aborted, "that ask is taken").toBe(false);
  for (let again = 0; again < 10; again += 1) asks.ask();
  expect(second.aborted).toBe(true);
  expect(asks.next().aborted, "ten are one").toBe(false);
});
