import { mkdir, readdir } from "node:fs/promises";
import { resolve } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { writeGolden } from "./write-golden.ts";

const [given] = process.argv.slice(2);
if (given === undefined) {
  console.error("node packages/golden/src/make-golden.ts <new directory>");
  process.exit(2);
}
const to = resolve(given);
await mkdir(to, { recursive: true });
if ((await readdir(to)).length > 0) {
  console.error(`${to} is not empty: a golden repository is made once, and never changed`);
  process.exit(1);
}
await using temporary = await temporaryDirectory("golden");
await writeGolden(to, temporary.path, (line) => console.error(line));
