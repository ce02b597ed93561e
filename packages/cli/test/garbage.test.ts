import { createHash, randomBytes, randomUUID } from "node:crypto";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { newIdentity } from "@stillpoint/repository/keys/age";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import { program } from "../src/commands.ts";
import { makeKeyFile } from "../src/make-key-file.ts";
import { testWorld } from "./system-fixture.ts";

const DAY = 86_400;

async function installation() {
  const stack = new AsyncDisposableStack();
  const { path } = stack.use(await temporaryDirectory("cli-garbage"));
  const url = join(path, "repository");
  const keyFile = join(path, "key");
  await makeKeyFile(keyFile, await newIdentity());
  const run = async (...args: string[]): Promise<unknown> => {
    let out = "";
    const keep = (text: string) => {
      out += text;
    };
    const world = { ...testWorld(path), out: keep, error: () => undefined };
    const all = [...args, "--repository", url, "--key-file", keyFile, "--json"];
    await program({ ...world, errorLine: () => undefined }).parseAsync(["node", "stillpoint", ...all]);
    return JSON.parse(out);
  };
  await run("repo", "init");
  const store = stack.use(await openObjectStore(url, { environment: {} }));
  return { path: url, keyFile, store, run, [Symbol.asyncDispose]: () => stack.disposeAsync() };
}

/** A backup of one file, in a point; the id of the point. */
async function takePoint({ path, keyFile }: { path: string; keyFile: string }): Promise<string> {
  await using store = await openObjectStore(path, { environment: {} });
  await using repository = await openRepository(store, {
    opener: await configuredOpener({ keyFile }, {}),
    threads: 0,
  });
  const tar = createTarWriter();
  const body = randomBytes(100_000);
  const entry = { type: "file", path: "a", mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
  const one = async function* () {
    yield body;
  };
  const written = tar.add(entry, one()).then(() => tar.end());
  const at = new Date().toISOString();
  const [backupId, pointId, cutId] = [randomUUID(), randomUUID(), randomUUID()];
  const head = { plan: "shop", source: "files", kind: "files", type: "full", runId: randomUUID() } as const;
  await repository.writeBackup({ ...head, backupId, startedAt: at }, tar.stream);
  await written;
  const cut = { cutId, mode: "align", at, consistency: "aligned", reasons: [], windowMs: 1, skewMs: 1 } as const;
  await repository.sealPoint({
    pointId,
    runId: head.runId,
    plan: "shop",
    revision: createHash("sha256").update("").digest("hex"),
    entries: [],
    cut: { ...cut, reasons: [], offsetsMs: { files: 1 } },
    sources: [
      {
        source: "files",
        kind: "files",
        site: "default",
        backups: [backupId],
        mark: { cutId, position: "1", detail: {}, notes: [] },
        runtime: { id: "files", version: "1", arch: "x64", extensions: [], settings: {} },
        addresses: [],
        bytes: 1,
        storedBytes: 1,
        ms: 1,
      },
    ],
    skipped: [],
    partial: false,
    startedAt: at,
    sealedAt: at,
  });
  return pointId;
}

describe("stillpoint repo gc", () => {
  it("plans and frees what was deleted, by the file system's own times, and keeps what is held", async () => {
    await using setup = await installation();
    const { run, store, path } = setup;
    const pointId = await takePoint(setup);
    const hold = await run("point", "hold", pointId, "--reason", "an audit", "--by", "a test");
    expect(await run("point", "holds", pointId)).toEqual([hold]);
    await expect(run("point", "delete", pointId)).rejects.toMatchObject({ code: "CONFLICT" });
    const { holdId } = hold as { holdId: string };
    await run("point", "release", pointId, holdId);
    await run("point", "delete", pointId, "--reason", "a test");
    expect(await run("repo", "gc", "plan")).toMatchObject({
      freedNow: { bytes: 0 },
      pinned: [{ pin: "undelete", what: pointId }],
    });
    await run("point", "undelete", pointId);
    await run("point", "delete", pointId);

    /** The storage's clock goes on, as far as its objects can tell. */
    const age = async (days: number) => {
      for await (const { name, modifiedMs } of store.list("")) {
        const seconds = modifiedMs / 1000 - days * DAY;
        await utimes(join(path, name), seconds, seconds);
      }
    };
    await age(8);
    expect(await run("repo", "gc", "run", "--dry-run")).toMatchObject({ freedNow: { bytes: 0 } });
    expect(await run("repo", "gc", "run")).toMatchObject({ freed: { bytes: 0 }, retained: [] });
    await age(1.1);
    const plan = await run("repo", "gc", "plan");
    const report = await run("repo", "gc", "run");
    expect((plan as { freedNow: { bytes: number } }).freedNow.bytes).toBeGreaterThan(100_000);
    expect(report).toMatchObject({ freed: (plan as { freedNow: object }).freedNow });
    expect(await Array.fromAsync(store.list("packs/"))).toEqual([]);
    await expect(run("point", "undelete", pointId)).rejects.toThrow(StillpointError);
  });
});
