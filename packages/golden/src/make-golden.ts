import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join, resolve } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { IN_GOLDEN } from "./places.ts";
import { sumsOf } from "./sums.ts";
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
await writeFile(join(to, IN_GOLDEN.sums), `${(await sumsOf(to)).join("\n")}\n`);
