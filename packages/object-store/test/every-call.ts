import type { ObjectStore } from "../src/object-store.ts";

/** Every call that a storage has. */
export function calls(store: ObjectStore): (() => Promise<unknown>)[] {
  return [
    () => store.put("a", Buffer.from("x")),
    () => store.put("a", Buffer.from("x"), { ifAbsent: true }),
    () => store.get("a"),
    () => store.head("a"),
    () => store.delete("a"),
    () => Array.fromAsync(store.list("")),
    () => store.now(),
  ];
}
