// Writes test/vectors/format-1.json anew. It is frozen once version 1 is: afterwards a change here is a new version.
import { writeFile } from "node:fs/promises";
import { makeVectors } from "./vectors.ts";

const target = new URL("./vectors/format-1.json", import.meta.url);
await writeFile(target, `${JSON.stringify(await makeVectors(), null, 1)}\n`);
