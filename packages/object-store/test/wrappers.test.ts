import { StillpointError } from "@stillpoint/contracts/errors";
import { describe, expect, it } from "vitest";
import { type Fault, withFaults } from "../src/faults.ts";
import { memoryStore } from "../src/memory.ts";
import { withRetry } from "../src/retry.ts";
import { codeOf, conformsTo } from "./conformance.ts";

const unreachable: Fault = {
  fault: "error",
  error: new StillpointError("STORE_UNREACHABLE", { what: "Lost the connection" }),
};
const denied: Fault = { fault: "error", error: new StillpointError("STORE_DENIED", { what: "Refused" }) };

function underRetry(attempts = 4) {
  const faulty = withFaults(memoryStore(() => 0));
  const waits: number[] = [];
  const sleep = async (ms: number) => {
    waits.push(ms);
  };
  return { faulty, waits, store: withRetry(faulty.store, { random: () => 0.5, sleep, attempts, firstWaitMs: 100 }) };
}

conformsTo("memory behind both wrappers", async () => {
  const { store } = underRetry();
  return { store, end: async () => undefined };
});

describe("retry", () => {
  it("asks again after what passes by itself, with waits that double", async () => {
    const { store, faulty, waits } = underRetry();
    faulty.add("put", unreachable, unreachable, unreachable);
    await store.put("a", Buffer.from("x"));
    expect(waits).toEqual([75, 150, 300]);
    faulty.assertAllMet();
  });

  it("gives up after its attempts with the last error", async () => {
    const { store, faulty } = underRetry(3);
    faulty.add("get", unreachable, unreachable, unreachable);
    expect(await codeOf(store.get("a"))).toBe("STORE_UNREACHABLE");
    expect(faulty.calls("get")).toBe(3);
    faulty.assertAllMet();
  });

  it("does not ask again what would be refused again, nor a full disk", async () => {
    const { store, faulty } = underRetry();
    faulty.add("put", denied, { fault: "outOfSpace" });
    expect(await codeOf(store.put("a", Buffer.from("x")))).toBe("STORE_DENIED");
    expect(await codeOf(store.put("a", Buffer.from("x")))).toBe("DISK_FULL");
    expect(faulty.calls("put")).toBe(2);
    faulty.assertAllMet();
  });

  it("takes an object whose answer got lost for its own, and another's for another's", async () => {
    const { store, faulty } = underRetry();
    faulty.add("put", { fault: "lostAnswer" });
    await store.put("a", Buffer.from("mine"), { ifAbsent: true });
    expect(await codeOf(store.put("a", Buffer.from("mine"), { ifAbsent: true }))).toBe("OBJECT_EXISTS");
    faulty.add("put", unreachable);
    expect(await codeOf(store.put("a", Buffer.from("other"), { ifAbsent: true }))).toBe("OBJECT_EXISTS");
    faulty.assertAllMet();
  });

  it("takes a listing up again behind what it gave out", async () => {
    const { store, faulty } = underRetry();
    for (const name of ["a", "b", "c"]) await store.put(name, Buffer.from(name));
    faulty.add("list", unreachable);
    const names: string[] = [];
    for await (const { name } of store.list("")) names.push(name);
    expect(names).toEqual(["a", "b", "c"]);
    faulty.assertAllMet();
  });
});

describe("faults", () => {
  it("damage what is stored or what is read, and the test sees it", async () => {
    const { store, add, assertAllMet } = withFaults(memoryStore(() => 0));
    add("put", { fault: "truncate", toBytes: 2 }, { fault: "flip", atByte: 0 });
    await store.put("short", Buffer.from("abc"));
    await store.put("flipped", Buffer.from("abc"));
    expect(Buffer.from(await store.get("short")).toString()).toBe("ab");
    expect(Buffer.from(await store.get("flipped")).toString()).toBe("`bc");
    add("get", { fault: "flip", atByte: -1 });
    expect(Buffer.from(await store.get("short")).toString()).toBe("ac");
    expect(Buffer.from(await store.get("short")).toString()).toBe("ab");
    assertAllMet();
  });

  it("wait for as long as the test says", async () => {
    const { store, add } = withFaults(memoryStore(() => 0));
    const { promise, resolve } = Promise.withResolvers<void>();
    add("put", { fault: "slow", until: promise });
    let ended = false;
    const put = store.put("a", Buffer.from("x")).then(() => {
      ended = true;
    });
    await store.head("a");
    expect(ended).toBe(false);
    resolve();
    await put;
  });

  it("are met at the call that was named, and a method refuses what it cannot have", async () => {
    const { store, addAt, assertAllMet, add } = withFaults(memoryStore(() => 0));
    addAt("put", 2, { fault: "denied" });
    addAt("put", 1, { fault: "outOfSpace" });
    await store.put("a", Buffer.from("x"));
    expect(await codeOf(store.put("b", Buffer.from("x")))).toBe("DISK_FULL");
    expect(await codeOf(store.put("c", Buffer.from("x")))).toBe("STORE_DENIED");
    await store.put("d", Buffer.from("x"));
    assertAllMet();
    expect(() => add("head", { fault: "flip", atByte: 0 })).toThrow("head cannot meet");
  });

  it("lie about a write: nothing is stored, or something else; nothing goes", async () => {
    const inner = memoryStore(() => 0);
    const { store, add } = withFaults(inner);
    add("put", { fault: "lie" }, { fault: "lie", stores: Buffer.from("other") });
    await store.put("a", Buffer.from("x"));
    await store.put("b", Buffer.from("x"));
    expect(await inner.head("a")).toBeUndefined();
    expect(Buffer.from(await inner.get("b")).toString()).toBe("other");
    add("delete", { fault: "lie" }, { fault: "retained" }, { fault: "denied" });
    await store.delete("b");
    expect(await codeOf(store.delete("b"))).toBe("OBJECT_RETAINED");
    expect(await codeOf(store.delete("b"))).toBe("STORE_DENIED");
    expect(await inner.head("b")).toBeDefined();
  });

  it("lose parts of a listing, break it off, or show an old one", async () => {
    const { store, add, assertAllMet } = withFaults(memoryStore(() => 0));
    for (const name of ["a", "b", "c", "d"]) await store.put(name, Buffer.from(name));
    await store.delete("b");
    await store.put("e", Buffer.from("e"));
    const listed = async () => (await Array.fromAsync(store.list(""))).map(({ name }) => name).join("");
    add("list", { fault: "loseEntries", from: 1, count: 2 }, { fault: "loseEntries", from: -1, count: 1 });
    expect([await listed(), await listed()]).toEqual(["ae", "acd"]);
    add("list", { fault: "oldListing", writes: 2 }, { fault: "oldListing", writes: 3 });
    expect([await listed(), await listed(), await listed()]).toEqual(["abcd", "abc", "acde"]);
    add("list", { fault: "breakOff", after: 2 });
    const seen: string[] = [];
    const broken = (async () => {
      for await (const { name } of store.list("")) seen.push(name);
    })();
    expect([await codeOf(broken), seen]).toEqual(["STORE_UNREACHABLE", ["a", "c"]]);
    assertAllMet();
  });

  it("show a write late: what is new is not there yet, what is deleted still is, until enough calls passed", async () => {
    const { store, add } = withFaults(memoryStore(() => 0));
    await store.put("old", Buffer.from("0123"));
    add("put", { fault: "late", calls: 3 });
    await store.put("new", Buffer.from("x"), { ifAbsent: true });
    expect(await codeOf(store.get("new"))).toBe("OBJECT_MISSING");
    expect(await store.head("new")).toBeUndefined();
    expect(await Array.fromAsync(store.list(""))).toHaveLength(1);
    expect(await codeOf(store.put("new", Buffer.from("y"), { ifAbsent: true }))).toBe("OBJECT_EXISTS");
    expect(Buffer.from(await store.get("new")).toString()).toBe("x");
    add("delete", { fault: "late", calls: 3 });
    await store.delete("old");
    expect(Buffer.from(await store.get("old", { offset: 1, length: 2 })).toString()).toBe("12");
    expect(await store.head("old")).toBeDefined();
    expect(await Array.fromAsync(store.list(""))).toHaveLength(2);
    expect(await store.head("old")).toBeUndefined();
  });

  it("that were never met fail the test that queued them", () => {
    const { add, assertAllMet } = withFaults(memoryStore(() => 0));
    add("delete", { fault: "denied" });
    expect(assertAllMet).toThrow("delete: denied");
  });
});
