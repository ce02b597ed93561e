// Adds packs to a chunk index until it is killed, and says each one's number once it is there:
// node index-process.ts <directory> <repository id> <first number>
import { writeSync } from "node:fs";
import { openChunkIndex } from "../src/index/open-chunk-index.ts";
import { numberedPack } from "./numbered-pack.ts";

const [directory = "", id = "", from = "0"] = process.argv.slice(2);
const index = openChunkIndex(id, { directory });
// As long as it builds, nothing of it counts; the first of all packs ends that.
for (let number = Number(from); ; number++) {
  const { name, pack } = numberedPack(number);
  index.add(name, { supersedes: [], packs: [pack] });
  if (number === 0) await index.settle();
  writeSync(1, `${number}\n`);
}
