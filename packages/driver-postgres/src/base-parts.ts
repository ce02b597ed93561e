/** One piece of what BASE_BACKUP streams (PostgreSQL 15 and later): a tar archive, or the manifest of all of them. */
export type BasePart = {
  /** `base.tar` is the data directory, `<oid>.tar` a further tablespace, `manifest` the backup_manifest. */
  name: string;
  bytes: AsyncGenerator<Buffer, void, void>;
};

const NEW_ARCHIVE = 0x6e; // n
const MANIFEST = 0x6d; // m
const DATA = 0x64; // d
const PROGRESS = 0x70; // p

/** Splits the stream's messages into its parts. Each part's bytes must be read to their end before the next is asked for. */
export async function* baseParts(messages: AsyncIterator<Buffer>): AsyncGenerator<BasePart, void, void> {
  let header = await nextOf(messages);
  while (header !== undefined) {
    let following: Buffer | undefined;
    const bytes = async function* () {
      for (let next = await nextOf(messages); next !== undefined; next = await nextOf(messages)) {
        if (next[0] === DATA) {
          yield next.subarray(1);
        } else {
          following = next;
          return;
        }
      }
    };
    yield { name: partName(header), bytes: bytes() };
    header = following;
  }
}

async function nextOf(messages: AsyncIterator<Buffer>): Promise<Buffer | undefined> {
  for (;;) {
    const next = await messages.next();
    if (next.done) return undefined;
    if (next.value[0] !== PROGRESS) return next.value;
  }
}

function partName(header: Buffer): string {
  if (header[0] === MANIFEST) return "manifest";
  if (header[0] === NEW_ARCHIVE) return header.toString("utf8", 1, header.indexOf(0, 1));
  throw new TypeError(`BASE_BACKUP sent a message of an unknown type, ${header[0]}`);
}
