import { chmod, mkdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { describe, expect, it } from "vitest";
import { readKeyFile, whyExposed } from "../src/key-file.ts";
import { configuredOpener } from "../src/keys/configured-opener.ts";
import { keyFile } from "./key-trial.ts";

describe("a key file", () => {
  it("is refused where others can read it, with what to do; a secret mount's by its group is not", async () => {
    await using directory = await temporaryDirectory("key-file");
    const path = await keyFile(join(directory.path, "key"), "correct horse");
    for (const mode of [0o600, 0o400]) {
      await chmod(path, mode);
      expect((await readKeyFile(path)).reveal()).toBe("correct horse");
    }
    for (const mode of [0o640, 0o440, 0o604, 0o660, 0o644]) {
      await chmod(path, mode);
      await expect(readKeyFile(path)).rejects.toMatchObject({
        code: "KEY_UNREADABLE",
        why: `its mode is 0${mode.toString(8)}: others can read it`,
        hint: expect.stringContaining(`chmod 600 ${path}`),
      });
    }
    const mount = join(directory.path, "mount");
    await mkdir(join(mount, "..2026"), { recursive: true });
    await symlink("..2026", join(mount, "..data"));
    await symlink("..data/key", join(mount, "key"));
    await writeFile(join(mount, "..2026", "key"), "correct horse", { mode: 0o440 });
    expect((await readKeyFile(join(mount, "key"))).reveal()).toBe("correct horse");
    await chmod(join(mount, "..2026", "key"), 0o444);
    await expect(readKeyFile(join(mount, "key"))).rejects.toMatchObject({
      hint: expect.stringContaining("defaultMode: 0400"),
    });
    expect(whyExposed(0o440, false)).toContain("0440");
  });

  it("that is missing, empty or endless is told apart from a wrong one", async () => {
    await using directory = await temporaryDirectory("key-file");
    const empty = await keyFile(join(directory.path, "empty"), "");
    const long = await keyFile(join(directory.path, "long"), "x".repeat(70_000));
    for (const [path, why] of [
      [join(directory.path, "none"), /no such file/],
      [empty, /empty/],
      [long, /70001 bytes/],
    ] as const)
      await expect(readKeyFile(path)).rejects.toMatchObject({
        code: "KEY_UNREADABLE",
        why: expect.stringMatching(why),
      });
  });

  it("and a key service may not both be named; nor neither", async () => {
    await expect(configuredOpener({ keyFile: "/a", kmsKey: "b" }, {})).rejects.toMatchObject({
      code: "INVALID_REQUEST",
    });
    await expect(configuredOpener({}, {})).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(configuredOpener({ transitKey: "x" }, {})).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(configuredOpener({ transitKey: "x" }, { VAULT_ADDR: "http://127.0.0.1:1" })).rejects.toMatchObject({
      code: "SECRET_MISSING",
    });
    const shown = (await configuredOpener({}, { STILLPOINT_KMS_KEY: "arn:aws:kms:eu-west-1:1:key/x" })).shown;
    expect(shown).toBe("AWS KMS key arn:aws:kms:eu-west-1:1:key/x");
  });
});
