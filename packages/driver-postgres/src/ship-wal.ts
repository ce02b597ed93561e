import { StillpointError } from "@stillpoint/contracts/errors";
import type { PostgresSource } from "@stillpoint/contracts/source";
import type { DriverContext } from "@stillpoint/driver/driver";
import type { ShipOptions } from "@stillpoint/driver/ship";
import { DatabaseError } from "pg";
import { alarm } from "./alarm.ts";
import { type Connection, type ConnectOptions, connect } from "./connection.ts";
import { followTimeline } from "./follow-timeline.ts";
import { type WalPosition, walPositionOf } from "./log-position.ts";
import { formatLsn, type Lsn } from "./lsn.ts";
import { checkRequirements, checkVersion } from "./requirements.ts";
import { type SegmentSpool, segmentSpool } from "./segment-spool.ts";
import { serverFacts, versionNumber } from "./server-facts.ts";
import { beginShipping } from "./ship-begin.ts";
import { openGuard } from "./ship-guard.ts";
import { shipSlotName } from "./ship-slot.ts";
import { timelineShipper } from "./ship-timeline.ts";
import { probeAddress, sourceAddress } from "./source-address.ts";
import { sourcePassword } from "./source-password.ts";
import { timelineOf } from "./timeline.ts";
import { type WalFeed, walFeed } from "./wal-feed.ts";

export type Shipping = {
  options: ShipOptions;
  context: DriverContext;
  connection: Omit<ConnectOptions, "what">;
  sql: Connection;
  spool: SegmentSpool;
  slot: string;
  segmentBytes: number;
  /** Everything before it is durable. */
  held: WalPosition | undefined;
};

/** Ships a source's WAL until it is told to stop. See `Driver.ship`. */
export async function shipWal(source: PostgresSource, options: ShipOptions, context: DriverContext): Promise<void> {
  const address = sourceAddress(source);
  const where = probeAddress(address);
  const password = sourcePassword(source, address, context.secret);
  const connection = { address, password, signal: context.signal };
  await using opened = new AsyncDisposableStack();
  const sql = opened.use(await connect({ ...connection, what: "Cannot ask PostgreSQL where its WAL stands" }));
  checkVersion(await versionNumber(sql), where);
  const facts = await serverFacts(sql);
  checkRequirements(facts, where);
  const segmentBytes = Number(facts.settings.wal_segment_size);
  const spool = opened.use(await segmentSpool(context.directory, segmentBytes));
  const held = options.from === undefined ? undefined : walPositionOf(options.from);
  const it: Shipping = {
    options,
    context,
    connection,
    sql,
    spool,
    segmentBytes,
    held,
    slot: shipSlotName(options.owner),
  };
  let gap: string | undefined;
  do gap = await shipRound(it, gap);
  while (gap !== undefined);
}

/** Ships until it is told to stop, or until the log cannot go on: answers why. `known`: it cannot go on from what is held. */
async function shipRound(it: Shipping, known: string | undefined): Promise<string | undefined> {
  const { options, context, connection, sql, spool, slot, segmentBytes } = it;
  const letGo = new AbortController();
  const ended = AbortSignal.any([context.signal, letGo.signal]);
  const connectReplication = () =>
    connect({
      ...connection,
      what: "Cannot read PostgreSQL's WAL",
      replication: true,
      // Whatever the source has set: we send a sign of life every few seconds, also while an upload stands still.
      settings: { wal_sender_timeout: "60s" },
      signal: ended,
    });
  const begin = async () => {
    await using replication = await connectReplication();
    return await beginShipping({ sql, replication, slot, segmentBytes, held: it.held, gap: known });
  };
  const pastOf = async (timeline: number) => {
    await using replication = await connectReplication();
    return await timelineOf(replication, timeline);
  };
  using bell = alarm();
  ended.addEventListener("abort", bell.ring);
  const begun = await begin();
  let { from, isHeld } = begun;
  await using guard = openGuard({
    it,
    view: begun.view,
    timeline: begun.timeline,
    position: () => it.held ?? from,
    letGo,
    bell,
  });
  try {
    if (begun.gap !== undefined) {
      context.log("the log has a gap", begun.gap);
      await options.sink.gap(begun.gap);
    }
    it.held = isHeld ? from : undefined;
    for (;;) {
      context.log("shipping", { slot, timeline: from.timeline, from: formatLsn(from.at) });
      const past = await pastOf(from.timeline);
      const { timeline } = past;
      let durable = isHeld ? from.at : undefined;
      let feed: WalFeed | undefined;
      const openFeed = async (at: Lsn) => {
        const { monotonicMs } = context;
        feed = walFeed(await connectReplication(), { slot, from: { timeline, at }, durable, monotonicMs });
        guard.listenTo(feed);
        return feed;
      };
      const onDurable = (at: Lsn) => {
        durable = at;
        it.held = { timeline, at };
        feed?.confirm(at);
        guard.tell();
      };
      const shipper = await timelineShipper({
        ...past,
        from: from.at,
        segmentBytes,
        spool,
        sink: options.sink,
        now: context.now,
        onDurable,
      });
      const { flushMs } = options;
      const { monotonicMs } = context;
      const followed = await followTimeline({
        openFeed,
        shipper,
        alarm: bell,
        flushMs,
        segmentBytes,
        stopAt: guard.stopAt,
        soonAt: guard.soonAt,
        monotonicMs,
      });
      if (followed === "stopped") return undefined;
      if (followed === undefined) throw sql.translate(new Error("the server ended its WAL"));
      from = followed;
      isHeld = true;
      it.held = from;
    }
  } catch (error) {
    return await guard.explain(
      begun.isHeld && wasRemoved(error) ? "the server has removed WAL that is not shipped yet" : undefined,
      error,
    );
  }
}

/** What the slot was to keep is not there. */
function wasRemoved(error: unknown): boolean {
  return error instanceof StillpointError && error.cause instanceof DatabaseError && error.cause.code === "58P01";
}
