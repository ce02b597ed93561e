import { createReadStream, createWriteStream } from "node:fs";
import { mkdir, readdir, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import type { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { StillpointError } from "@stillpoint/contracts/errors";

export type ResultName = { proofId: string; source: string; check: string };

/** NDJSON rows that rehearsals answered, kept until the proof is sealed. Names are parsed tokens: no path leaves `directory`. */
export function resultStore(directory: string) {
  const fileOf = ({ proofId, source, check }: ResultName) => join(directory, proofId, source, `${check}.ndjson`);
  return {
    /** A second one of the same name replaces the first: the later rehearsal counts. */
    async write(name: ResultName, rows: Readable): Promise<void> {
      const file = fileOf(name);
      await mkdir(join(directory, name.proofId, name.source), { recursive: true, mode: 0o700 });
      await pipeline(rows, createWriteStream(`${file}.part`, { mode: 0o600 }));
      await rename(`${file}.part`, file);
    },
    async read(name: ResultName): Promise<Readable> {
      const stream = createReadStream(fileOf(name));
      const { promise, resolve, reject } = Promise.withResolvers<Readable>();
      stream.once("open", () => resolve(stream));
      stream.once("error", (error) =>
        reject(
          new StillpointError("NOT_FOUND", {
            what: "There is no such result",
            where: `${name.proofId}, ${name.source}, ${name.check}`,
            why: error.message,
            cause: error,
          }),
        ),
      );
      return promise;
    },
    async drop(proofId: string): Promise<void> {
      await rm(join(directory, proofId), { recursive: true, force: true });
    },
    /** Proofs that results are kept for. */
    async proofs(): Promise<string[]> {
      await mkdir(directory, { recursive: true, mode: 0o700 });
      return readdir(directory);
    },
  };
}
export type ResultStore = ReturnType<typeof resultStore>;
