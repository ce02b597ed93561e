// Run by the test of a full file system, in a mount namespace of its own: mounts a small one at the given directory, fills
// it through the storage, and prints what happened.
import { execFileSync } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryStore } from "../src/directory.ts";

const [directory = ""] = process.argv.slice(2);
execFileSync("mount", ["-t", "tmpfs", "-o", "size=3m", "none", directory]);
const store = directoryStore(directory);
const body = Buffer.alloc(1_000_000, "x");
let error: unknown;
let stored = 0;
while (error === undefined && stored < 10)
  await store.put(`object-${stored}`, body, { ifAbsent: true }).then(
    () => stored++,
    (reason: unknown) => {
      error = reason;
    },
  );
const sizes: number[] = [];
for await (const { size } of store.list("")) sizes.push(size);
const code = error instanceof StillpointError ? error.code : String(error);
process.stdout.write(JSON.stringify({ code, stored, sizes, left: await readdir(join(directory, ".tmp")) }));
