import { ensureNats } from "@stillpoint/parts/nats-part";
import { type NatsServer, startNats } from "@stillpoint/parts/nats-server";
import { inOwnDirectory } from "./own-server.ts";
import { PARTS_DIRECTORY } from "./parts-directory.ts";

/**
 * A NATS server of the test's own. Streams have fixed names, so a server cannot be shared, and need not be: it starts in
 * less than 100 ms. `restart()` keeps port and streams, `kill()` is SIGKILL.
 */
export async function ownNats(options: { settings?: string } = {}): Promise<NatsServer & { readonly dir: string }> {
  const part = await ensureNats({ directory: PARTS_DIRECTORY });
  return inOwnDirectory("nats", (dir) => startNats({ part, dir, ...options }));
}
