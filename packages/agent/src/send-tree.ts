import { createTarWriter, type TarWriter } from "@stillpoint/driver/tar-writer";
import type { TreeWriter } from "@stillpoint/driver/tree";

/**
 * Fills a tar on one side and gives it away on the other. `found`: asked where everything was written and only the answer is
 * missing. Throws what the side that failed first did: the other's failure is its consequence.
 */
export async function sendTree<Answer>(
  write: (tree: TreeWriter) => Promise<void>,
  send: (tar: TarWriter) => Promise<Answer>,
  found: (tar: TarWriter) => Promise<Answer | undefined>,
): Promise<Answer> {
  const tar = createTarWriter();
  let cause: unknown;
  const fail = (error: unknown): never => {
    cause ??= error;
    tar.fail(error); // where nobody reads any more, the driver must not wait for ever
    throw error;
  };
  const writing = write(tar).then(() => tar.end(), fail);
  const [written, sent] = await Promise.allSettled([writing, send(tar).catch(fail)]);
  if (sent.status === "fulfilled" && written.status === "fulfilled") return sent.value;
  const there = written.status === "fulfilled" ? await found(tar) : undefined;
  if (there !== undefined) return there;
  throw cause;
}
