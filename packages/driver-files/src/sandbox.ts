import { randomUUID } from "node:crypto";
import { createReadStream } from "node:fs";
import { rm } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { errorBody, StillpointError } from "@stillpoint/contracts/errors";
import { maxRow, type Query, type QueryRow, storeCheckRow, valueRow } from "@stillpoint/contracts/query";
import type { DriverContext, Sandbox, SandboxInput } from "@stillpoint/driver/driver";
import { isolate } from "@stillpoint/driver/isolation";
import { lastWords } from "@stillpoint/driver/last-words";
import { z } from "zod";
import { filesMarkDetail } from "./mark-detail.ts";

const answered = z.union([
  z.object({ row: z.union([storeCheckRow, valueRow, maxRow]) }),
  z.object({ error: errorBody }),
  z.object({ end: z.literal(true) }),
]);

/** Files need no server: each query is a process of its own, shut in like any other store's. */
export async function startSandbox(input: SandboxInput, context: DriverContext): Promise<Sandbox> {
  const { files } = filesMarkDetail.parse(input.mark.detail);
  const isolation = await isolate({
    directory: context.directory,
    keep: [input.directory],
    open: context.tools.openSandboxes,
    signal: context.signal,
  });
  const script = fileURLToPath(new URL("./answer-main.ts", import.meta.url));

  async function* ask(query: Query): AsyncGenerator<QueryRow> {
    const output = join(context.directory, `answer-${randomUUID()}.ndjson`);
    const request = JSON.stringify({ directory: input.directory, expected: files, query });
    try {
      const child = await isolation.spawn(
        process.execPath,
        ["--disable-warning=ExperimentalWarning", script, request],
        { output },
      );
      const { code } = await child.exited;
      let hasEnded = false;
      for await (const line of createInterface({ input: createReadStream(output) })) {
        if (!line.startsWith("{")) continue; // what the runtime itself says
        const said = answered.parse(JSON.parse(line));
        if ("error" in said) throw StillpointError.fromBody(said.error);
        if ("row" in said) yield said.row;
        else hasEnded = true;
      }
      if (hasEnded) return;
      throw new StillpointError("SANDBOX_FAILED", {
        what: "The restored files could not be questioned",
        why: `exit code ${code}: ${await lastWords(output)}`,
      });
    } finally {
      await rm(output, { force: true });
    }
  }

  return {
    version: "files",
    recovered: files === undefined ? "files" : `${files} files`,
    query: ask,
    probeEgress: (addresses) => isolation.probeEgress(addresses),
    [Symbol.asyncDispose]: () => isolation[Symbol.asyncDispose](),
  };
}
