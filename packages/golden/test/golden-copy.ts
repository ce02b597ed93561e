import { chmod, cp, mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { expected } from "../src/expected.ts";
import { GOLDEN, IN_GOLDEN } from "../src/places.ts";

export const EXPECTED = expected.parse(JSON.parse(await readFile(join(GOLDEN, IN_GOLDEN.expected), "utf8")));
export const PASSPHRASE = (await readFile(join(GOLDEN, IN_GOLDEN.passphrase), "utf8")).trim();

/** A copy of the golden repository to do harm to, with its key in a file as it must be kept. */
export async function goldenCopy() {
  await using resources = new AsyncDisposableStack();
  const { path } = resources.use(await temporaryDirectory("golden"));
  const repository = join(path, "repository");
  await cp(join(GOLDEN, IN_GOLDEN.repository), repository, { recursive: true });
  await mkdir(join(path, "keys"));
  const keyFile = join(path, "keys/passphrase");
  const writeKey = async (file: string, passphrase: string) => {
    await writeFile(file, `${passphrase}\n`);
    await chmod(file, 0o600);
    return file;
  };
  await writeKey(keyFile, PASSPHRASE);
  const owned = resources.move();
  return {
    path,
    repository,
    keyFile,
    writeKey: (name: string, passphrase: string) => writeKey(join(path, "keys", name), passphrase),
    inRepository: (name: string) => join(repository, name),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}
export type GoldenCopy = Awaited<ReturnType<typeof goldenCopy>>;
