import { createHash, randomBytes, randomUUID } from "node:crypto";
import { utimes } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import type { ObjectStore } from "@stillpoint/object-store/object-store";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { newIdentity } from "@stillpoint/repository/keys/age";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository, type Repository } from "@stillpoint/repository/repository";
import type { BackupHead } from "@stillpoint/repository/write/write-backup";
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

/** A backup of one file by the service's way, in no point yet. */
async function backUp(repository: Repository, backupId: string, type: "full" | "log"): Promise<BackupHead> {
  const tar = createTarWriter();
  const body = randomBytes(100_000);
  const entry = { type: "file", path: "a", mode: 0o600, mtimeMs: 0, size: body.length, hint: "content" } as const;
  const one = async function* () {
    yield body;
  };
  const written = tar.add(entry, one()).then(() => tar.end());
  const source = { plan: "shop", source: "files", kind: "files", runId: randomUUID() } as const;
  const head = { ...source, backupId, type, startedAt: new Date().toISOString() };
  await repository.writeBackup(head, tar.stream);
  await written;
  return head;
}

/** A point of one backup; its id. `log`: and a backup of the log after it, in no point. */
async function takePoint(
  { path, keyFile }: { path: string; keyFile: string },
  options: { log?: string } = {},
): Promise<string> {
  await using store = await openObjectStore(path, { environment: {} });
  await using repository = await openRepository(store, {
    opener: await configuredOpener({ keyFile }, {}),
    threads: 0,
  });
  const [backupId, pointId, cutId] = [randomUUID(), randomUUID(), randomUUID()];
  const { runId, startedAt: at } = await backUp(repository, backupId, "full");
  if (options.log !== undefined) await backUp(repository, options.log, "log");
  const cut = { cutId, mode: "align", at, consistency: "aligned", reasons: [], windowMs: 1, skewMs: 1 } as const;
  await repository.sealPoint({
    pointId,
    runId,
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

/** The storage's clock goes on, as far as its objects can tell. */
function aging({ store, path }: { store: ObjectStore; path: string }) {
  return async (days: number) => {
    for await (const { name, modifiedMs } of store.list("")) {
      const seconds = modifiedMs / 1000 - days * DAY;
      await utimes(join(path, name), seconds, seconds);
    }
  };
}

describe("stillpoint repo gc", () => {
  it("plans and frees what was deleted, by the file system's own times, and keeps what is held", async () => {
    await using setup = await installation();
    const { run, store } = setup;
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

    const age = aging(setup);
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

  it("keeps the log for as long as it is told to, and all of it that has a base where it is told nothing", async () => {
    await using setup = await installation();
    await takePoint(setup, { log: "log-1" });
    const age = aging(setup);
    const backups = async () => (await Array.fromAsync(setup.store.list("backups/"))).map(({ name }) => name);
    const collectTwice = async (...args: string[]) => {
      for (let i = 0; i < 2; i++) {
        await setup.run("repo", "gc", "run", ...args);
        await age(1.1);
      }
      await setup.run("repo", "gc", "run", ...args);
    };
    await age(30);
    await takePoint(setup);
    await age(30);
    await collectTwice();
    expect(await backups()).toContain("backups/log-1");
    await collectTwice("--keep-log", "40d");
    expect(await backups()).toContain("backups/log-1");
    await collectTwice("--keep-log", "7d");
    expect(await backups()).not.toContain("backups/log-1");
    expect(await backups()).toHaveLength(2);
    await expect(setup.run("repo", "gc", "plan", "--keep-log", "long")).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
  });
});
