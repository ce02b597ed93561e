import { mkdir, readFile, stat, utimes, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { directoryStore } from "@stillpoint/object-store/directory";
import { type HeldStore, heldStore } from "./held-store.ts";

/** The objects as a directory store has them, each as old by the file system's clock as it was by its own. */
export async function toDisk({ objects, clock }: HeldStore, directory: string): Promise<void> {
  await mkdir(directory, { recursive: true });
  const ahead = (await directoryStore(directory).now()) - clock.nowMs;
  for (const [name, { bytes, modifiedMs }] of objects) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, bytes);
    const seconds = (modifiedMs + ahead) / 1000;
    await utimes(path, seconds, seconds);
  }
}

/** What is there now, in memory. */
export async function fromDisk(directory: string): Promise<HeldStore> {
  const store = directoryStore(directory);
  const held = heldStore(await store.now());
  for await (const { name } of store.list("")) {
    const path = join(directory, name);
    const { mtimeMs } = await stat(path);
    held.objects.set(name, { bytes: new Uint8Array(await readFile(path)), modifiedMs: mtimeMs });
  }
  return held;
}
