import type { ObjectStore } from "@stillpoint/object-store/object-store";
import type { StepScheduler } from "./step-scheduler.ts";

/** Entries that a listing gives at once: what others do in between shows in the next ones. */
const PAGE = 3;

/** A store whose every call waits until the scheduler lets it go, on behalf of one process. */
export function steppedStore(store: ObjectStore, scheduler: StepScheduler, process: number): ObjectStore {
  async function step<Result>(call: string, make: () => Promise<Result>): Promise<Result> {
    await scheduler.gate(process, call);
    try {
      return await make();
    } finally {
      await scheduler.heard(process);
    }
  }

  return {
    url: store.url,
    put: (name, body, options) => step(`put ${name}`, () => store.put(name, body, options)),
    get: (name, range, signal) => step(`get ${name}`, () => store.get(name, range, signal)),
    head: (name, signal) => step(`head ${name}`, () => store.head(name, signal)),
    delete: (name, signal) => step(`delete ${name}`, () => store.delete(name, signal)),
    now: (signal) => step("now", () => store.now(signal)),
    createsAtomically: (signal) => step("createsAtomically", () => store.createsAtomically(signal)),
    async *list(prefix, { after, signal } = {}) {
      for (let last = after; ; ) {
        const behind = last;
        const page = await step(`list ${prefix} ${behind ?? ""}`, async () => {
          const entries = [];
          for await (const entry of store.list(prefix, { after: behind, signal }))
            if (entries.push(entry) >= PAGE) break;
          return entries;
        });
        yield* page;
        last = page.at(-1)?.name;
        if (page.length < PAGE) return;
      }
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
