import { expect, test } from "vitest";
import { freePort } from "../src/free-port.ts";

test("no port is given twice, though nobody listens on any of them yet", async () => {
  const ports = new Set<number>();
  for (let asked = 0; asked < 400; asked += 1) ports.add(await freePort());
  expect(ports.size).toBe(400);
});
