import { StillpointError } from "@stillpoint/contracts/errors";
import { describe, expect, it } from "vitest";
import { withFaults } from "../src/faults.ts";
import { memoryStore } from "../src/memory.ts";
import { type ObservedCall, withObserver } from "../src/observe.ts";
import { codeOf, conformsTo } from "./conformance.ts";

function observed() {
  const calls: ObservedCall[] = [];
  const faulty = withFaults(memoryStore(() => 0));
  let ms = 0;
  const store = withObserver(
    faulty.store,
    (call) => calls.push(call),
    () => (ms += 500),
  );
  return { calls, faulty, store };
}

conformsTo("memory behind an observer", async () => ({ store: observed().store, end: async () => undefined }));

describe("an observer", () => {
  it("hears of every call with its bytes and its time", async () => {
    const { calls, store } = observed();
    await store.put("a", [Buffer.from("ab"), Buffer.from("c")]);
    await store.get("a", { offset: 1, length: 10 });
    await Array.fromAsync(store.list(""));
    await store.locks?.state("a");
    expect(calls).toEqual([
      { method: "put", seconds: 0.5, sentBytes: 3, receivedBytes: 0, error: undefined },
      { method: "get", seconds: 0.5, sentBytes: 0, receivedBytes: 2, error: undefined },
      { method: "list", seconds: 0.5, sentBytes: 0, receivedBytes: 0, error: undefined },
      { method: "state", seconds: 0.5, sentBytes: 0, receivedBytes: 0, error: undefined },
    ]);
  });

  it("hears of every failure by its code, and nothing is said to be moved then", async () => {
    const { calls, faulty, store } = observed();
    const error = new StillpointError("STORE_UNREACHABLE", { what: "Lost the connection" });
    faulty.add("put", { fault: "outOfSpace" });
    faulty.add("list", { fault: "error", error });
    await codeOf(store.put("a", Buffer.from("x")));
    await codeOf(store.get("a"));
    await codeOf(Array.fromAsync(store.list("")));
    expect(calls.map(({ method, sentBytes, error: code }) => [method, sentBytes, code])).toEqual([
      ["put", 0, "DISK_FULL"],
      ["get", 0, "OBJECT_MISSING"],
      ["list", 0, "STORE_UNREACHABLE"],
    ]);
    faulty.assertAllMet();
  });
});
