import { spawn } from "node:child_process";
import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { newIdentity } from "@stillpoint/repository/keys/age";
import { startKmsStandIn } from "@stillpoint/testkit/kms-stand-in";
import { PROCESS_ENVIRONMENT } from "@stillpoint/testkit/process-environment";
import { ownBucket } from "@stillpoint/testkit/s3";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { startTransitStandIn } from "@stillpoint/testkit/transit-stand-in";
import { identityToRecipient } from "age-encryption";
import { describe, expect, it } from "vitest";
import { commandIn } from "./command-in.ts";

type Listed = {
  slots: { slot: string; type: string; method: string; label?: string; sheet: boolean; state: string }[];
};

async function made(environment: Record<string, string> = {}) {
  const directory = await temporaryDirectory("cli-keys");
  const stillpoint = commandIn(directory.path, environment);
  const at = (name: string) => join(directory.path, name);
  const repository = at("repository");
  // Identities: stretching passphrases takes its time on purpose.
  const init = await stillpoint(
    "repo",
    "init",
    "--repository",
    repository,
    "--key-file",
    at("first"),
    "--new-identity",
  );
  expect(init).toMatchObject({ code: 0, err: expect.stringContaining("key export") });
  const key = (verb: string, ...rest: string[]) => stillpoint("key", verb, "--repository", repository, ...rest);
  const list = async (file = "first"): Promise<Listed & Record<string, unknown>> =>
    JSON.parse((await key("list", "--key-file", at(file), "--json")).out);
  return { at, stillpoint, repository, key, list, [Symbol.asyncDispose]: () => directory[Symbol.asyncDispose]() };
}

describe("stillpoint key", () => {
  it("adds keys of every kind, lists, tests and removes them; dry first, and never without a yes", async () => {
    await using kms = await startKmsStandIn();
    await using vault = await startTransitStandIn();
    vault.createKey("backup");
    const arn = kms.createKey();
    await using setup = await made({ ...kms.environment, ...vault.environment });
    const { at, key, list } = setup;
    const first = ["--key-file", at("first")];
    const holder = await newIdentity();
    await writeFile(at("holder"), holder.reveal(), { mode: 0o600 });
    for (const args of [
      ["key-file", at("second"), "--new-identity", "--label", "the other machine"],
      ["kms", arn],
      ["transit", "backup"],
    ])
      expect(await key("add", ...args, ...first)).toMatchObject({ code: 0, out: expect.stringContaining("and opens") });
    const escrow = await key("add", "escrow", await identityToRecipient(holder.reveal()), ...first);
    expect(escrow).toMatchObject({ code: 0, out: expect.stringContaining("holder should try") });

    const { slots } = await list();
    expect(slots.map(({ type, method }) => `${type} ${method}`).sort()).toEqual(
      ["escrow age", "opener age", "opener age", "opener aws-kms", "opener vault-transit"].sort(),
    );
    const tested = await key("test", "--kms-key", arn, "--also-key-file", at("second"));
    expect(tested.out.match(/✓/g)).toHaveLength(2);
    expect(tested.out).toContain("untried");
    expect(await key("list", "--transit-key", "backup")).toMatchObject({ code: 0 });
    expect(await key("list", "--key-file", at("holder"))).toMatchObject({
      code: 4,
      err: expect.stringContaining("--escrow"),
    });
    expect(await key("list", "--key-file", at("holder"), "--escrow")).toMatchObject({
      code: 0,
      err: expect.stringContaining("compare the signing key"),
    });

    const second = slots.find(({ label }) => label === "the other machine")?.slot ?? "";
    const dry = await key("remove", second, "--dry-run", ...first);
    expect(dry).toMatchObject({ code: 0, out: "nothing was removed\n", err: expect.stringContaining("leaves") });
    expect(await key("remove", second, ...first)).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    expect((await list()).slots).toHaveLength(5);
    expect(await key("remove", second, "--yes", "--key-file", at("second"))).toMatchObject({ code: 6 });
    expect(await key("remove", second, "--yes", ...first)).toMatchObject({
      code: 0,
      out: `key slot ${second} is removed\n`,
    });
    expect(await key("list", "--key-file", at("second"))).toMatchObject({ code: 4 });
    expect((await list()).slots).toHaveLength(4);
  });

  it("shows without a key what the slots say, so that one finds out which is needed", async () => {
    await using setup = await made();
    const shown = await setup.key("list", "--unopened");
    expect(shown).toMatchObject({ code: 0, err: expect.stringContaining("no key was used") });
    expect(shown.out).toMatch(/^[0-9a-f]{32} {2}opener, age1/);
    expect(await setup.key("list")).toMatchObject({ code: 2, err: expect.stringContaining("STILLPOINT_KEY_FILE") });
  });

  it("rotates the key in its file, and begins a new epoch that gives up a leaked one", async () => {
    await using setup = await made();
    const { at, key, list } = setup;
    const first = ["--key-file", at("first")];
    await key("add", "key-file", at("second"), "--new-identity", ...first);
    await key("add", "key-file", at("leaked"), "--new-identity", "--label", "leaked", ...first);
    const before = await readFile(at("first"), "utf8");
    expect(await key("rotate", "--dry-run", ...first)).toMatchObject({ code: 0, out: "nothing was replaced\n" });
    expect(await readFile(at("first"), "utf8")).toBe(before);
    const rotated = await key("rotate", "--yes", ...first);
    expect(rotated).toMatchObject({ code: 0, err: expect.stringContaining("copies of the old one") });
    expect(await readFile(at("first"), "utf8")).not.toBe(before);
    expect((await readdir(at("."))).sort()).toEqual(["first", "leaked", "repository", "second"]);

    const leaked = (await list()).slots.find(({ label }) => label === "leaked")?.slot ?? "";
    const missing = await key("new-epoch", "--without", leaked, "--yes", ...first);
    expect(missing).toMatchObject({ code: 2, err: expect.stringMatching(/MISSING.*--also-key-file/s) });
    const all = ["--without", leaked, "--also-key-file", at("second"), ...first];
    expect(await key("new-epoch", "--dry-run", ...all)).toMatchObject({ code: 0, out: "nothing was begun\n" });
    expect(await key("new-epoch", "--yes", ...all)).toMatchObject({ code: 0, err: expect.stringContaining("restart") });
    for (const [file, code] of [
      ["first", 0],
      ["second", 0],
      ["leaked", 4],
    ] as const)
      expect(await key("list", "--key-file", at(file))).toMatchObject({ code });
    expect(await list()).toMatchObject({ epoch: 2 });
  });

  it("prints on a recovery sheet a URL that opens the bucket on a machine that knows its credentials alone", async () => {
    const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await ownBucket();
    const credentials = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    await using directory = await temporaryDirectory("cli-keys");
    const at = (name: string) => join(directory.path, name);
    for (const [name, environment, target] of [
      ["file", {}, `{ url: "s3://${bucket}/file?region=${region}", endpoint: "${endpoint}" }`],
      ["variable", { AWS_REGION: region }, `{ url: "s3://${bucket}/variable", endpoint: "${endpoint}" }`],
    ] as const) {
      const stillpoint = commandIn(directory.path, { ...credentials, ...environment });
      await writeFile(at(`${name}.yaml`), `primary: ${target}\n`);
      const options = ["--repository", at(`${name}.yaml`), "--key-file", at(name)];
      expect(await stillpoint("repo", "init", ...options, "--new-identity")).toMatchObject({ code: 0 });
      const { out } = await stillpoint("key", "export", "--yes", ...options);
      expect(out).toContain(`Where        s3://${bucket}/${name}?endpoint=${endpoint}&region=${region}\n`);
    }
  });

  it("prints a recovery sheet whose passphrase opens the repository", async () => {
    await using setup = await made();
    const { at, key, list } = setup;
    const first = ["--key-file", at("first")];
    expect(await key("export", ...first)).toMatchObject({ code: 2 });
    expect((await list()).slots).toHaveLength(1);
    const { code, out } = await key("export", "--yes", "--label", "safe", ...first);
    expect(code).toBe(0);
    expect(out).toContain(`Where        file://${setup.repository}\n`);
    await writeFile(at("sheet"), `${/^Passphrase +(\S+)$/m.exec(out)?.[1]}\n`, { mode: 0o600 });
    const opened = await list("sheet");
    expect(opened.slots.find(({ slot }) => slot === opened.openedBy)).toMatchObject({ sheet: true, label: "safe" });
    await chmod(at("sheet"), 0o644);
    expect(await key("list", "--key-file", at("sheet"))).toMatchObject({
      code: 4,
      err: expect.stringContaining(`chmod 600 ${at("sheet")}`),
    });
  });

  it("lists when keys are due as the vault counts it", async () => {
    await using setup = await made({ STILLPOINT_KEY_ROTATION_DAYS: "30" });
    const { slots } = await setup.list();
    const [{ createdAt, dueAt }] = slots as unknown as [{ createdAt: string; dueAt: string }]; // one, and the test says the fields
    expect(Date.parse(dueAt) - Date.parse(createdAt)).toBe(30 * 86_400_000);
  });

  it("says what keeps it from making a key file, and leaves nothing of it", async () => {
    await using directory = await temporaryDirectory("cli-keys");
    const stillpoint = commandIn(directory.path, {});
    const at = ["--repository", join(directory.path, "repository"), "--key-file", join(directory.path, "none", "key")];
    const { err } = await stillpoint("repo", "init", ...at);
    expect(err).toMatch(/Cannot make the key file.*none\/key/s);
    expect(await readdir(directory.path)).toEqual([]);
  });

  it("takes a passphrase from standard input, and shows it nowhere", async () => {
    await using setup = await made();
    const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
    const args = ["key", "add", "passphrase", "--repository", setup.repository, "--key-file", setup.at("first")];
    const child = spawn(process.execPath, [main, ...args], {
      env: { ...PROCESS_ENVIRONMENT, STILLPOINT_HOME: setup.at("home") },
    });
    child.stdin.end("a sentence that I know by heart\n");
    const [out, err] = await Promise.all([text(child.stdout), text(child.stderr)]);
    expect({ out, err }).toMatchObject({ out: expect.stringContaining("and opens") });
    expect(out + err).not.toContain("by heart");
    await writeFile(setup.at("known"), "a sentence that I know by heart\n", { mode: 0o600 });
    expect(await setup.key("list", "--key-file", setup.at("known"))).toMatchObject({ code: 0 });
  });

  it("asks a person at a terminal for a passphrase twice, and shows nothing of what is typed", async () => {
    await using setup = await made();
    const main = fileURLToPath(new URL("../src/main.ts", import.meta.url));
    const args = ["key", "add", "passphrase", "--repository", setup.repository, "--key-file", setup.at("first")];
    const command = [process.execPath, main, ...args].map((each) => `'${each}'`).join(" ");
    // util-linux: runs the command at a terminal of its own.
    const child = spawn("script", ["-qec", command, "/dev/null"], {
      env: { ...PROCESS_ENVIRONMENT, STILLPOINT_HOME: setup.at("home") },
    });
    const prompts = ["New passphrase: ", "The same again: "];
    let seen = "";
    for await (const piece of child.stdout) {
      seen += String(piece);
      const [prompt] = prompts;
      if (prompt === undefined || !seen.includes(prompt)) continue;
      prompts.shift();
      child.stdin.write("typed and unseen\r");
    }
    expect(seen).toContain("and opens");
    expect(seen).not.toContain("typed and unseen");
    await writeFile(setup.at("typed"), "typed and unseen\n", { mode: 0o600 });
    expect(await setup.key("list", "--key-file", setup.at("typed"))).toMatchObject({ code: 0 });
  });

  it("makes a repository that a key service and an escrow recipient open, too", async () => {
    await using kms = await startKmsStandIn();
    await using directory = await temporaryDirectory("cli-keys");
    await mkdir(join(directory.path, "home"));
    const stillpoint = commandIn(directory.path, { ...kms.environment });
    const arn = kms.createKey();
    const recipient = await identityToRecipient((await newIdentity()).reveal());
    const at = ["--repository", join(directory.path, "repository"), "--kms-key", arn];
    expect(await stillpoint("repo", "init", ...at, "--escrow-recipient", recipient)).toMatchObject({ code: 0 });
    const { slots } = JSON.parse((await stillpoint("key", "list", ...at, "--json")).out) as Listed; // as this command prints it
    expect(slots.map(({ type }) => type).sort()).toEqual(["escrow", "opener"]);
    expect(await stillpoint("repo", "check", ...at)).toMatchObject({ code: 0 });
  });
});
