import { chmod, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createTarWriter } from "@stillpoint/driver/tar-writer";
import { openObjectStore } from "@stillpoint/object-store/open-object-store";
import { configuredOpener } from "@stillpoint/repository/keys/configured-opener";
import { openRepository } from "@stillpoint/repository/repository";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, it } from "vitest";
import { commandIn } from "./command-in.ts";

const guide = await readFile(new URL("../../../docs/guide/repository-care.md", import.meta.url), "utf8");
const commands = [...guide.matchAll(/^stillpoint (repo .+)$/gm)].map(([, line = ""]) => line);

/** A repository with one backup, a replica that has all of it, and the commands of the guide to be run on them. */
async function care() {
  const directory = await temporaryDirectory("cli-care");
  const at = (name: string) => join(directory.path, name);
  const command = commandIn(directory.path);
  const names = ["targets.yaml", "key", "repair.json", "nothing.json"];
  const run = (line: string) => command(...line.split(" ").map((word) => (names.includes(word) ? at(word) : word)));
  const targets = `primary: { url: ${at("primary")} }\nreplicas:\n  second: { url: ${at("second")} }\n`;
  await writeFile(at("targets.yaml"), targets);
  expect(await run(`repo init --repository ${at("primary")} --key-file key --new-identity`)).toMatchObject({ code: 0 });
  await using store = await openObjectStore(at("primary"), { environment: {} });
  await using second = await openObjectStore(at("second"), { environment: {}, create: true });
  const opener = await configuredOpener({ keyFile: at("key") }, {});
  await using repository = await openRepository(store, { opener, threads: 0 });
  const tar = createTarWriter();
  const body = Buffer.alloc(300_000, "a page of the book ");
  const entry = {
    type: "file" as const,
    path: "book",
    mode: 0o600,
    mtimeMs: 0,
    size: body.length,
    hint: "content" as const,
  };
  const written = tar
    .add(
      entry,
      (async function* () {
        yield body;
      })(),
    )
    .then(() => tar.end());
  const runId = "01900000-0000-7000-8000-000000000001";
  const head = { plan: "shop", source: "files", kind: "files" as const, type: "full" as const, runId };
  await repository.writeBackup({ ...head, backupId: "one", startedAt: "2026-01-01T00:00:00.000Z" }, tar.stream);
  await written;
  await repository.replicas.replicate(second);
  async function flip(): Promise<string> {
    const packs = await readdir(at("primary/packs"), { recursive: true });
    const pack = join("packs", packs.find((name) => name.length > 60) ?? "");
    const bytes = await readFile(at(join("primary", pack)));
    bytes[100] = (bytes[100] ?? 0) ^ 1;
    await chmod(at(join("primary", pack)), 0o600);
    await writeFile(at(join("primary", pack)), bytes);
    return pack;
  }
  return { run, flip, at, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

it("the guide's commands run as they stand, on a sound repository", async () => {
  await using setup = await care();
  expect(commands.length).toBeGreaterThanOrEqual(6);
  for (const line of commands) expect(await setup.run(line), line).toMatchObject({ code: 0 });
});

it("damage is named and exits with 8, planned without a change, repaired from the replica, and then gone", async () => {
  await using setup = await care();
  const pack = await setup.flip();
  const of = "--repository targets.yaml --key-file key";
  expect(await setup.run(`repo check ${of}`)).toMatchObject({ code: 0 });
  const found = await setup.run(`repo check ${of} --read-data 1/1`);
  expect(found).toMatchObject({ code: 8, out: expect.stringContaining(`✗ ${pack}`) });
  expect(await setup.run(`repo scrub ${of}`)).toMatchObject({ code: 8, out: expect.stringContaining(`✗ ${pack}`) });
  const planned = await setup.run(`repo repair ${of} --plan-out repair.json`);
  expect(planned).toMatchObject({ code: 0, out: expect.stringContaining("nothing was changed") });
  expect(await setup.run(`repo repair ${of} --plan-out repair.json`)).toMatchObject({ code: 6 });
  expect(await setup.run(`repo check ${of} --read-data`)).toMatchObject({ code: 8 });
  // What it prints can be pasted.
  const [, next = ""] = /^ {2}stillpoint (.+)$/m.exec(planned.out) ?? [];
  const repaired = await setup.run(next);
  expect(repaired).toMatchObject({ code: 0, out: expect.stringContaining(`✓ ${pack}: repaired`) });
  expect(await setup.run(`repo check ${of} --read-data`)).toMatchObject({ code: 0 });
  expect(await readdir(setup.at("primary/quarantine"))).toHaveLength(1);
  expect(await setup.run(`repo repair ${of} --plan-out nothing.json`)).toMatchObject({
    code: 0,
    out: expect.stringContaining("there is nothing to repair"),
  });
  expect(await setup.run(`repo repair ${of}`)).toMatchObject({ code: 2 });
  expect(await setup.run(`repo check ${of} --read-data 2/3`)).toMatchObject({ code: 2 });
});
