import { type TemporaryDirectory, temporaryDirectory } from "./temporary-directory.ts";

/** Starts a server in a temporary directory of its own, which goes with it: also when the start fails. */
export async function inOwnDirectory<Server extends AsyncDisposable>(
  name: string,
  start: (dir: string) => Promise<Server>,
): Promise<Server & { readonly dir: string }> {
  const directory: TemporaryDirectory = await temporaryDirectory(name);
  try {
    const server = await start(directory.path);
    const stop = server[Symbol.asyncDispose].bind(server);
    return Object.assign(server, {
      dir: directory.path,
      async [Symbol.asyncDispose]() {
        await stop();
        await directory[Symbol.asyncDispose]();
      },
    });
  } catch (error) {
    await directory[Symbol.asyncDispose]();
    throw error;
  }
}
