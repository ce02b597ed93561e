import { describe, expect, it } from "vitest";
import { memoryStore } from "../src/memory.ts";
import { withRetry } from "../src/retry.ts";
import { locksObjects } from "./capabilities.ts";
import { codeOf } from "./conformance.ts";

const HOUR_MS = 3_600_000;

locksObjects("locks in memory", async () => memoryStore(Date.now));
locksObjects("locks behind the retry wrapper", async () =>
  withRetry(memoryStore(Date.now), { random: Math.random, sleep: async () => undefined }),
);

describe("memory", () => {
  it("lets a locked object go when its time has come by the storage's clock", async () => {
    let now = 1_000;
    const store = memoryStore(() => now);
    await store.put("a", Buffer.from("x"), { retainUntilMs: 5_000 });
    expect(await codeOf(store.delete("a"))).toBe("OBJECT_RETAINED");
    now = 5_000;
    await store.delete("a");
    expect(await store.head("a")).toBeUndefined();
  });

  it("gives a cold object only after a thaw that takes its time, and only for as long as was asked", async () => {
    let now = 0;
    const { classes, ...store } = memoryStore(() => now);
    if (classes === undefined) throw new Error("no classes");
    await store.put("a", Buffer.from("x"));
    await classes.move("a", "archive");
    expect((await store.head("a"))?.storageClass).toBe("archive");
    expect(await codeOf(store.get("a"))).toBe("OBJECT_COLD");
    expect(await classes.thawState("a")).toBe("cold");
    await classes.thaw("a", 1);
    expect(await classes.thawState("a")).toBe("thawing");
    expect(await codeOf(store.get("a"))).toBe("OBJECT_COLD");
    now = classes.thawTakesMs("archive");
    expect(await classes.thawState("a")).toBe("readable");
    expect((await store.get("a")).length).toBe(1);
    now += 24 * HOUR_MS;
    expect(await classes.thawState("a")).toBe("cold");
  });
});
