import { mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { configFiles } from "./config-files.ts";
import type { Content } from "./content.ts";
import { ForeignDataError, type Marker, type SampleStore } from "./store.ts";

export type FilesConnection = { directory: string };

const marker = z.object({ seed: z.string(), documents: z.number(), finished: z.boolean() });
const upload = z.object({ id: z.string(), seq: z.number() });

/**
 * `config/` and `uploads/` are what is protected. Beside them lie the marker, and `staging/`, where a file is written
 * before it takes its place in one step: nobody ever reads half an upload.
 */
export function openFiles(connection: FilesConnection): SampleStore {
  const { directory } = connection;
  const at = (...parts: string[]) => join(directory, ...parts);
  const uploadPath = (seq: number) => at("uploads", `${String(seq).padStart(9, "0")}.json`);
  const writeMarker = (value: Marker) => replace("sample.json", at("sample.json"), `${JSON.stringify(value)}\n`);
  async function replace(name: string, path: string, text: string): Promise<void> {
    const staged = at("staging", name);
    await writeFile(staged, text);
    await rename(staged, path);
  }
  const put = (content: Content) =>
    replace(`${content.seq}.json`, uploadPath(content.seq), `${JSON.stringify(uploadOf(content))}\n`);

  return {
    name: "files",
    async marker() {
      const found = (await readdir(directory).catch(unlessMissing)) ?? [];
      if (found.includes("sample.json")) return marker.parse(JSON.parse(await readFile(at("sample.json"), "utf8")));
      if (found.some((name) => name !== "staging")) throw new ForeignDataError("files", at(found[0] ?? ""));
      return undefined;
    },
    async clear() {
      for (const name of ["uploads", "config", "staging", "sample.json"]) {
        await rm(at(name), { recursive: true, force: true });
      }
    },
    async begin(value) {
      for (const name of ["staging", "uploads", "config"]) await mkdir(at(name), { recursive: true });
      await writeMarker(value);
      for (const [name, text] of Object.entries(configFiles(value.seed))) await replace(name, at("config", name), text);
    },
    async load(rows) {
      await Promise.all(rows.map(({ content }) => put(content)));
    },
    async finish(value) {
      await writeMarker(value);
    },
    async apply(write, content) {
      await put(content);
      for (const seq of [write.replaces, write.removes?.seq]) {
        if (seq !== undefined) await rm(uploadPath(seq), { force: true });
      }
    },
    async documents() {
      const documents = new Map<string, number>();
      for (const name of await readdir(at("uploads"))) {
        const text = await readFile(at("uploads", name), "utf8").catch(unlessMissing);
        if (text === undefined) continue; // a write that went on beside this ended it
        const { id, seq } = upload.parse(JSON.parse(text));
        documents.set(id, seq);
      }
      return documents;
    },
    async close() {},
  };
}

function uploadOf(content: Content) {
  return { id: content.id, seq: content.seq, name: `${content.title.slice(0, 60)}.txt`, text: content.upload };
}

function unlessMissing(error: NodeJS.ErrnoException): undefined {
  if (error.code !== "ENOENT") throw error;
}
