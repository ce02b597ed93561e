import { once } from "node:events";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { StillpointError } from "@stillpoint/contracts/errors";
import { asciiJson, VAULT_HEADERS } from "@stillpoint/contracts/vault";
import type { TreeWriter } from "@stillpoint/driver/tree";
import { describe, expect, it } from "vitest";
import { backupSender } from "../src/send-backup.ts";
import { slots } from "../src/slots.ts";

const runId = "01900000-0000-7000-8000-000000000001";

type Answer = (request: IncomingMessage, response: ServerResponse) => void;

const figuresOf = (id: string) => ({
  backupId: id,
  plan: "shop",
  source: "uploads",
  kind: "files",
  type: "full",
  runId,
  bytes: 1,
  storedBytes: 1,
  files: 1,
  checksum: "0".repeat(64),
  startedAt: "2026-01-01T00:00:00.000Z",
  finishedAt: "2026-01-01T00:00:00.000Z",
});
const idOf = (request: IncomingMessage) => request.url?.split("/")[2]?.split("?")[0] ?? "";

const takes: Answer = (request, response) => {
  request.resume();
  request.once("end", () => response.writeHead(201).end(JSON.stringify(figuresOf(idOf(request)))));
};
/** Dies when this many bytes have come. */
const diesAfter =
  (bytes: number): Answer =>
  (request) => {
    let seen = 0;
    request.on("data", (chunk: Buffer) => {
      seen += chunk.length;
      if (seen >= bytes) request.socket.destroy();
    });
  };
const diesAtTheEnd: Answer = (request) => {
  request.resume();
  request.once("end", () => request.socket.destroy());
};

/** A vault that answers each PUT by the next of these; a HEAD says what `stored` says. */
async function startVault(answers: Answer[], stored: (id: string) => boolean = () => false) {
  const puts: string[] = [];
  const server = createServer((request, response) => {
    const id = idOf(request);
    if (request.method === "HEAD") {
      const header = stored(id)
        ? { [VAULT_HEADERS.figures]: asciiJson(figuresOf(id)) }
        : {
            [VAULT_HEADERS.error]: asciiJson(
              new StillpointError("BACKUP_UNKNOWN", { what: "There is no such backup" }).toBody(),
            ),
          };
      response.writeHead(stored(id) ? 200 : 404, header).end();
      return;
    }
    puts.push(id);
    (answers.shift() ?? takes)(request, response);
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return {
    puts,
    vault: { vaultUrl: `http://127.0.0.1:${port}`, ticket: "t" },
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function sender() {
  return backupSender({
    runId,
    source: "uploads",
    fenceToken: 4,
    signal: new AbortController().signal,
    streams: slots(1),
    pausesMs: [0, 0],
    report: () => undefined,
  });
}

/** A tree of many entries, small and large: back-pressure meets the end of the vault in every state. */
const tree = (megabytes: number) => async (into: TreeWriter) => {
  for (let at = 0; at < megabytes; at += 1) {
    const body = Buffer.alloc(at % 2 === 0 ? 1_000_000 : 10, at);
    await into.add(
      { type: "file", path: `f${at}`, mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" },
      (async function* () {
        yield body;
      })(),
    );
  }
};
const progress = () => ({ doing: "base", bytes: 0 });

describe("sending a backup", () => {
  it.each([0, 1, 600, 70_000, 1_000_000, 3_300_000])(
    "a vault that dies after %i bytes: sent again under a new id, and never hangs",
    async (bytes) => {
      await using server = await startVault([diesAfter(bytes)]);
      const figures = await sender()("base", "full", server.vault, tree(12), progress());
      expect(server.puts).toEqual([`${runId}_uploads_4_base1`, `${runId}_uploads_4_base2`]);
      expect(figures.backupId).toBe(server.puts[1]);
    },
  );

  it("a vault that dies before it answers: what it has is asked for, and counts", async () => {
    await using server = await startVault([diesAtTheEnd], () => true);
    const figures = await sender()("base", "full", server.vault, tree(3), progress());
    expect(server.puts).toEqual([`${runId}_uploads_4_base1`]);
    expect(figures.backupId).toBe(server.puts[0]);
  });

  it("a vault that refuses for good is not asked again, and its reason is what is told", async () => {
    const refuses: Answer = (_, response) => {
      const error = new StillpointError("DISK_FULL", { what: "No space" });
      response.writeHead(error.http, { [VAULT_HEADERS.error]: asciiJson(error.toBody()), connection: "close" }).end();
    };
    await using server = await startVault([refuses, refuses, refuses]);
    await expect(sender()("base", "full", server.vault, tree(8), progress())).rejects.toMatchObject({
      code: expect.stringMatching(/DISK_FULL|UNREACHABLE/),
    });
  });

  it("a source that fails in the middle is what is told, not the broken upload that follows from it", async () => {
    await using server = await startVault([]);
    const failing = async (into: TreeWriter) => {
      await tree(3)(into);
      throw new StillpointError("SOURCE_CHANGED", { what: "The log is gone" });
    };
    // It may pass: three tries, each with the same end.
    await expect(sender()("base", "full", server.vault, failing, progress())).rejects.toMatchObject({
      code: "SOURCE_CHANGED",
    });
  });

  it("nobody there: told after three tries", async () => {
    const server = await startVault([]);
    await server[Symbol.asyncDispose]();
    await expect(sender()("base", "full", server.vault, tree(3), progress())).rejects.toMatchObject({
      code: "UNREACHABLE",
    });
  });
});
