import { type Command, filterOf, type SubjectParameters } from "@stillpoint/contracts/messages";
import type { Connection } from "./connection.ts";
import { API, hasApiCode } from "./failure.ts";
import { persist } from "./persist.ts";
import { streamOf } from "./publish-command.ts";

/**
 * Takes commands out of the queue, also those under way: their taker is not told. All parameters name one command, some
 * of them a set: `{kind, site, plan}`; none, every command of the kind.
 */
export async function purgeCommands<Definition extends Command>(
  connection: Connection,
  definition: Definition,
  parameters: Partial<SubjectParameters<Definition["subject"]>>,
): Promise<number> {
  const filter = filterOf<Definition["subject"]>(definition.subject, parameters);
  const { purged } = await persist(connection, "Cannot remove commands", filter, () =>
    connection.jsm.streams.purge(streamOf(definition), { filter }),
  );
  return purged;
}

/** Takes one command out, only while it is still this one: another's of the same subject stays. */
export async function deleteCommand<Definition extends Command>(
  connection: Connection,
  definition: Definition,
  sequence: number,
): Promise<void> {
  const stream = streamOf(definition);
  await persist(connection, "Cannot remove a command", `${stream} ${sequence}`, async () => {
    try {
      await connection.jsm.streams.deleteMessage(stream, sequence, false);
    } catch (error) {
      // Sequences are given once: an absent one is gone already, which is what was wanted.
      if (!hasApiCode(error, API.MESSAGE_TO_DELETE_NOT_FOUND)) throw error;
    }
  });
}
