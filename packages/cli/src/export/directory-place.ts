import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { link, mkdir, open, readdir, readFile, rename, rm } from "node:fs/promises";
import { basename, dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { codeOf, diskError } from "@stillpoint/driver/disk-error";
import { objectExists } from "@stillpoint/object-store/object-errors";
import { type ExportPlace, type FileSum, type StagedFile, summing, sumOfAll } from "./export-place.ts";

/** A name that begins with a dot and ends so is no file of an export. */
const UNFINISHED = ".part";

/** What is in it is in the clear: it is for the owner's eyes. */
const DIRECTORY_MODE = 0o700;
const FILE_MODE = 0o600;

/** Files of this machine: written beside their names, flushed, and linked there, which fails where a name is taken. */
export function directoryPlace(root: string, signal: AbortSignal): ExportPlace {
  const at = (name: string) => join(root, name);
  const temporaryFor = async (name: string): Promise<string> => {
    await mkdir(dirname(at(name)), { recursive: true, mode: DIRECTORY_MODE });
    return join(dirname(at(name)), `.${basename(name)}.${randomUUID()}${UNFINISHED}`);
  };
  const flush = async (directory: string): Promise<void> => {
    await using handle = await open(directory, "r");
    await handle.sync();
  };

  async function write(temporary: string, content: AsyncIterable<Uint8Array>): Promise<FileSum> {
    const reading = summing(content, signal);
    await using file = await open(temporary, "wx", FILE_MODE);
    await file.writeFile(reading.content);
    await file.sync();
    return reading.sum();
  }

  async function stage(name: string, content: AsyncIterable<Uint8Array>): Promise<StagedFile> {
    const temporary = await temporaryFor(name);
    const discard = () => rm(temporary, { force: true });
    try {
      const sum = await write(temporary, content);
      return {
        ...sum,
        async publish() {
          await link(temporary, at(name)).catch((error: unknown) => {
            throw codeOf(error) === "EEXIST" ? objectExists(at(name)) : diskError(error, at(name));
          });
          await discard();
          await flush(dirname(at(name)));
        },
        [Symbol.asyncDispose]: discard,
      };
    } catch (error) {
      await discard();
      throw diskError(error, at(name));
    }
  }

  async function* textOf(text: string): AsyncGenerator<Uint8Array> {
    yield Buffer.from(text);
  }

  return {
    url: pathToFileURL(root).href,
    async sumOf(name) {
      try {
        return await sumOfAll(createReadStream(at(name)) as AsyncIterable<Buffer>, signal); // no encoding: buffers
      } catch (error) {
        if (codeOf(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    async readText(name) {
      try {
        return await readFile(at(name), "utf8");
      } catch (error) {
        if (codeOf(error) === "ENOENT") return undefined;
        throw error;
      }
    },
    async createText(name, text) {
      await using staged = await stage(name, textOf(text));
      await staged.publish();
    },
    async replaceText(name, text) {
      const temporary = await temporaryFor(name);
      await write(temporary, textOf(text));
      await rename(temporary, at(name));
      await flush(dirname(at(name)));
    },
    stage,
    async clear(stem) {
      const directory = dirname(at(stem));
      const names = await readdir(directory).catch((error: unknown) => {
        if (codeOf(error) === "ENOENT") return [];
        throw error;
      });
      for (const name of names)
        if (name.startsWith(`.${basename(stem)}`) && name.endsWith(UNFINISHED)) await rm(join(directory, name));
    },
    [Symbol.asyncDispose]: () => Promise.resolve(),
  };
}
