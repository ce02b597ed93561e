// Writes the vectors of shipped logs, once: they are of version 1, which does not change.
import { writeFile } from "node:fs/promises";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { makeLogVectors } from "./log-vectors.ts";
import { LOG_VECTORS } from "./places.ts";

await using directory = await temporaryDirectory("log-vectors");
await writeFile(LOG_VECTORS, `${JSON.stringify(await makeLogVectors(directory.path), null, 1)}\n`, { flag: "wx" });
