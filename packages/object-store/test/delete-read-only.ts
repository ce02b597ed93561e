import { execFileSync } from "node:child_process";
import { StillpointError } from "@stillpoint/contracts/errors";
import { directoryStore } from "../src/directory.ts";

// In a mount namespace of its own: makes the directory read-only, then prints what comes of deleting each of the names.
const [directory = "", ...names] = process.argv.slice(2);
execFileSync("mount", ["--bind", directory, directory]);
execFileSync("mount", ["-o", "remount,ro,bind", directory]);
const store = directoryStore(directory);
const outcomes: string[] = [];
for (const name of names)
  outcomes.push(
    await store.delete(name).then(
      () => "deleted",
      (error: unknown) => (error instanceof StillpointError ? error.code : String(error)),
    ),
  );
console.log(JSON.stringify(outcomes));
