import { mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { PGlite } from "@electric-sql/pglite";
import { SETTINGS } from "./embedded.ts";

const directory = process.argv[2];
if (directory === undefined) throw new Error("usage: make-embedded <directory>");
mkdirSync(dirname(directory), { recursive: true });
const made = await PGlite.create(directory, { postgresqlconf: SETTINGS });
await made.close();
