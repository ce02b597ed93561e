// Writes one backup to a directory until it is killed: node resume-process.ts <repository> <index directory>
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { openRepository } from "../src/repository.ts";
import { largeItems } from "./resume-items.ts";
import { head, PASSPHRASE, tarOf } from "./trial.ts";

const [url = "", directory = ""] = process.argv.slice(2);
await using store = await openObjectStore(url, { environment: {} });
await using repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 1, index: { directory } });
/** Never told that it is whole, so that it is killed in the middle however late. */
async function* withoutEnd(tar: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield* tar;
  await new Promise(() => setInterval(() => undefined, 60_000));
}
await repository.writeBackup(head("one"), withoutEnd(tarOf(largeItems(16))));
