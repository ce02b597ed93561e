// Writes to so many GiB of memory and ends: `touch-memory.ts <GiB>`. On a machine that takes idle memory away, the first write
// to a page costs many times what the next one does, and whoever is measured first would pay for all.
const [gib = "1"] = process.argv.slice(2);
const held: Buffer[] = [];
for (let at = 0; at < Number(gib); at++) held.push(Buffer.alloc(2 ** 30, 1));
process.stdout.write(`${held.length}\n`);
