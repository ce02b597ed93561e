import type { BasePart } from "./base-parts.ts";
import { COPY_END } from "./copy-stream.ts";

/** Of a tablespace: object id, location, size. The rows before and after those say where the backup begins and ends. */
const COLUMNS = 3;

/**
 * What BASE_BACKUP streams before PostgreSQL 15: one copy for each tablespace in the order of its list, whose entry without
 * an object id is the data directory, and one for the manifest. Each part's bytes must be read to their end.
 */
export async function* oldBaseParts(
  messages: AsyncIterator<Buffer>,
  /** Those that came so far; the list is whole before the first copy begins. */
  rows: () => readonly (readonly (string | null)[])[],
): AsyncGenerator<BasePart, void, void> {
  for (let i = 0; ; i += 1) {
    const first = await messages.next();
    if (first.done) return;
    const row = rows().filter(({ length }) => length === COLUMNS)[i];
    const [oid] = row ?? [];
    const name = row === undefined ? "manifest" : oid == null ? "base.tar" : `${oid}.tar`;
    yield { name, bytes: oneCopy(first.value, messages) };
  }
}

async function* oneCopy(first: Buffer, messages: AsyncIterator<Buffer>): AsyncGenerator<Buffer, void, void> {
  for (let bytes = first; bytes !== COPY_END; ) {
    yield bytes;
    const next = await messages.next();
    if (next.done) return;
    bytes = next.value;
  }
}
