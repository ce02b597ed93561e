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

  it("that were never met fail the test that queued them", () => {
    const { add, assertAllMet } = withFaults(memoryStore(() => 0));
    add("delete", { fault: "outOfSpace" });
    expect(assertAllMet).toThrow("delete: outOfSpace");
  });
});
