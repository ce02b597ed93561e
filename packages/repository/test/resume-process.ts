// Writes one backup to a directory until it is killed: node resume-process.ts <repository> <index directory>
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { openRepository } from "../src/repository.ts";
import { largeItems } from "./resume-items.ts";
import { head, PASSPHRASE, tarOf } from "./trial.ts";

const [url = "", directory = ""] = process.argv.slice(2);
await using store = await openObjectStore(url, { environment: {} });
await using repository = await openRepository(store, { passphrase: PASSPHRASE, threads: 1, index: { directory } });
await repository.writeBackup(head("one"), tarOf(largeItems(25)));
