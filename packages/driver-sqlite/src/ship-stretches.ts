import { join } from "node:path";
import type { LogPosition, LogRange } from "@stillpoint/contracts/log";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import type { ShipLimits } from "./ship-limits.ts";
import { partsOf } from "./ship-position.ts";
import { encodeHead, type LookHead } from "./ship-record.ts";
import { openSpool, type ShipSpool } from "./ship-spool.ts";
import { SHIPPED_DIRECTORY } from "./shipped-files.ts";

/** What was read and how far the sink has it: looks are added at one end, and flushed at the other. */
export interface Stretches extends AsyncDisposable {
  /** Up to here the sink has the log. */
  readonly held: LogPosition;
  /** Up to here it was read. */
  readonly seen: LogPosition;
  readonly seenMs: number;
  /** Bytes that the sink does not have yet. */
  readonly aheadBytes: number;
  /** Adds what was read, and the look that it belongs to; all of it or nothing. */
  add(read: (spool: ShipSpool) => Promise<LookHead>): Promise<void>;
  /** Gives the sink what it does not have, and goes on from a later position: what lies between is a gap. */
  breakAt(position: LogPosition): Promise<void>;
  /** Gives the sink what it does not have. */
  flush(): Promise<void>;
}

type Input = {
  options: ShipOptions;
  context: DriverContext;
  limits: ShipLimits;
  from: LogPosition;
  /** Where the stream before this one was left. */
  after?: LogPosition;
};

type Stretch = {
  spool: ShipSpool;
  from: LogPosition;
  to: LogPosition;
  /** Where the stream before this one was left. */
  after?: LogPosition;
  since: number;
  /** Of whole looks. */
  end: number;
  flushed: number;
  tails: number;
  hasFrames: boolean;
};

export async function startStretches({ options, context, limits, from, after }: Input): Promise<Stretches> {
  const { sink } = options;
  let made = 0;
  const begin = async (at: LogPosition): Promise<Stretch> => {
    made += 1;
    const spool = await openSpool(join(context.directory, `${made}.log`));
    return { spool, from: at, to: at, since: context.monotonicMs(), end: 0, flushed: 0, tails: 0, hasFrames: false };
  };
  let open: Stretch = { ...(await begin(from)), ...(after === undefined ? {} : { after }) };
  let held = from;
  let adding = Promise.resolve();

  const rangeOf = (begins: LogPosition, to: LogPosition, comesAfter: LogPosition | undefined): LogRange => ({
    stream: to.stream,
    from: begins.at,
    to: to.at,
    ...(comesAfter === undefined ? {} : { after: comesAfter }),
  });

  const close = async (stretch: Stretch) => {
    const { spool } = stretch;
    const range = rangeOf(stretch.from, stretch.to, stretch.after);
    await sink.closed(range, async (tree) => {
      const entry = { type: "file", hint: "content", mode: 0o600 } as const;
      const path = `${SHIPPED_DIRECTORY}/${range.from}`;
      await tree.add({ ...entry, path, size: stretch.end, mtimeMs: context.now() }, spool.read(0, stretch.end));
    });
    await spool[Symbol.asyncDispose]();
  };

  const flush = async () => {
    const stretch = open;
    const { to, end } = stretch;
    const isLong = end >= limits.stretchBytes || end - stretch.flushed > limits.tailMostBytes;
    const isOld = stretch.hasFrames && context.monotonicMs() - stretch.since >= limits.stretchMs;
    const isMany = stretch.tails >= limits.stretchTails;
    if (isLong || ((isOld || isMany) && end > 0)) {
      // Looks go into the next one from here on.
      await inTurn(async () => {
        open = await begin(stretch.to);
      });
      await close(stretch);
      held = stretch.to;
      return;
    }
    if (end === stretch.flushed) return;
    const bytes = Buffer.concat(await Array.fromAsync(stretch.spool.read(stretch.flushed, end)));
    const begins = stretch.flushed === 0 ? stretch.from : held;
    await sink.tail(rangeOf(begins, to, stretch.flushed === 0 ? stretch.after : undefined), bytes);
    stretch.flushed = end;
    stretch.tails += 1;
    held = to;
  };
  const inTurn = async (act: () => Promise<void>) => {
    const acted = adding.then(act);
    adding = acted.catch(() => undefined);
    await acted;
  };

  return {
    get held() {
      return held;
    },
    get seen() {
      return open.to;
    },
    get seenMs() {
      return partsOf(open.to)?.ms ?? 0;
    },
    get aheadBytes() {
      return open.end - open.flushed;
    },
    async add(read) {
      await inTurn(async () => {
        const stretch = open;
        const before = stretch.spool.bytes;
        try {
          const look = await read(stretch.spool);
          await stretch.spool.append(encodeHead(look));
          stretch.hasFrames ||= look.databases.length > 0;
          [stretch.to, stretch.end] = [look.position, stretch.spool.bytes];
        } catch (error) {
          stretch.spool.cut(before);
          throw error;
        }
      });
    },
    async breakAt(position) {
      await flush();
      await inTurn(async () => {
        const stretch = open;
        open = await begin(position);
        held = position;
        if (stretch.end > 0) await close(stretch);
        else await stretch.spool[Symbol.asyncDispose]();
      });
    },
    flush,
    async [Symbol.asyncDispose]() {
      await open.spool[Symbol.asyncDispose]();
    },
  };
}
