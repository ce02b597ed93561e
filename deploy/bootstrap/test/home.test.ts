import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expect, test } from "vitest";
import { withUsableHome } from "../home.mjs";

test("a HOME that can hold something is left alone", async () => {
  await using directory = await temporaryDirectory();
  const env = { HOME: join(directory.path, "me"), npm_config_cache: join(directory.path, "me/.npm") };
  await mkdir(env.HOME);
  expect(withUsableHome(directory.path, env)).toEqual(env);
});

test("a HOME that cannot hold anything is replaced, with what npm would keep in it and nothing else", async () => {
  await using directory = await temporaryDirectory();
  const home = join(directory.path, ".tools/home");
  const env = { HOME: "/dev/null", PATH: "/bin", npm_config_cache: "/dev/null/.npm", npm_config_registry: "elsewhere" };
  expect(withUsableHome(directory.path, env)).toEqual({ HOME: home, PATH: "/bin", npm_config_registry: "elsewhere" });
  expect(withUsableHome(directory.path, {})).toEqual({ HOME: home });
});
