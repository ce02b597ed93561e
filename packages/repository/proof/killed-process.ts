import { directoryStore } from "@stillpoint/object-store/directory";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { heldStore } from "./held-store.ts";
import { SWEPT_OPERATIONS } from "./swept-operations.ts";

/**
 * A process that does one operation on directories and kills itself right after its k-th write, as nothing but a crash can
 * end it: `killed-process.ts <primary> <replica> <operation> <k>`. Ends by itself where it makes fewer writes.
 */
const [primary = "", replica = "", title = "", at = ""] = process.argv.slice(2);
let left = Number(at);

function written(): void {
  if (--left === 0) process.kill(process.pid, "SIGKILL");
}

function killing(store: ObjectStore): ObjectStore {
  return {
    ...store,
    async put(name, body, options) {
      await store.put(name, body, options);
      written();
    },
    async delete(name, signal) {
      await store.delete(name, signal);
      written();
    },
  };
}

const operation = SWEPT_OPERATIONS.find((each) => each.title === title);
if (operation === undefined) throw new TypeError(`no operation ${title}`);
await operation.run({
  primary: killing(directoryStore(primary)),
  replica: killing(directoryStore(replica)),
  // Its clock is the file system's: nothing asks for this one.
  base: { primary: heldStore(0), replica: heldStore(0), sealed: new Map() },
  seed: `killed ${at}`,
});
