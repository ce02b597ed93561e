import { StillpointError } from "@stillpoint/contracts/errors";
import { toInstant } from "@stillpoint/contracts/names";
import type { Mark } from "@stillpoint/contracts/point";
import type { PostgresSource } from "@stillpoint/contracts/source";
import type { Capture, DriverContext, OpenOptions } from "@stillpoint/driver/driver";
import { type Base, takeBase } from "./base-backup.ts";
import { addBaseFacts } from "./base-facts.ts";
import { connect } from "./connection.ts";
import { addCounts, openCounting } from "./counting.ts";
import { logPositionOf, logRangeOf } from "./log-position.ts";
import { formatLsn, segmentStart } from "./lsn.ts";
import { type MarkDetail, markDetail } from "./mark-detail.ts";
import { namedTablespaces } from "./named-tablespaces.ts";
import { neededPreload } from "./preload.ts";
import { MARK_RIGHT_MISSING } from "./requirements.ts";
import { pick } from "./runtime.ts";
import { CARRIED_SETTINGS } from "./server-facts.ts";
import { openSlot } from "./slot.ts";
import { probeAddress, sourceAddress } from "./source-address.ts";
import { sourcePassword } from "./source-password.ts";
import { BASE_MADE_ANEW, ofMark, tablespacesOfStanding } from "./standing-tablespaces.ts";
import { survey } from "./survey.ts";
import { furtherTablespaces, logTargetOf, MARK_SETTINGS, type TakenMark, takeMark } from "./take-mark.ts";
import { addHistory, addLog } from "./wal-tree.ts";

export async function openCapture(
  source: PostgresSource,
  context: DriverContext,
  { heldPlace, standingBase }: OpenOptions = {},
): Promise<Capture> {
  const { signal } = context;
  const address = sourceAddress(source);
  const where = probeAddress(address);
  const password = sourcePassword(source, address, context.secret);
  const options = { address, password, signal };
  await using opened = new AsyncDisposableStack();
  const openMarking = () => connect({ ...options, what: "Cannot mark PostgreSQL", settings: MARK_SETTINGS });

  let marking = opened.use(await openMarking());
  const { facts, major, description, unlogged } = await survey(marking, options, where);
  const found = await namedTablespaces(marking);
  /** Object ids of the tablespaces that the base of another session has, where it has all that there are. */
  const ofStanding = heldPlace === undefined ? undefined : await tablespacesOfStanding(standingBase, found);
  const standing = ofStanding !== undefined;
  const isAnew = heldPlace !== undefined && !standing;
  if (isAnew) context.log("the base that stands lacks a tablespace", { tablespaces: found.map(({ name }) => name) });
  const slot = standing ? undefined : opened.use(await openSlot(options));
  const counting = opened.use(openCounting(options, facts.databases, context));
  const segmentBytes = Number(facts.settings.wal_segment_size);
  const carried = {
    segmentBytes,
    database: address.database,
    bootstrapUser: facts.bootstrapUser,
    settings: pick(facts.settings, CARRIED_SETTINGS),
    preload: neededPreload(facts.settings.shared_preload_libraries),
    /** Those of the base; where it stood before, those of the mark. */
    tablespaces: found,
  };
  const blockBytes = Number(facts.settings.block_size);

  let base: Base | undefined;
  let current: { cutId: string; detail: MarkDetail | undefined } | undefined;

  const ended = (): Pick<Base, "tablespaces" | "start" | "timeline"> => {
    if (base !== undefined) return base;
    throw new StillpointError("INTERNAL", { what: "Cannot mark PostgreSQL", where, why: "no base has ended yet" });
  };
  const changed = (why: string) =>
    new StillpointError("SOURCE_CHANGED", {
      what: "Cannot mark PostgreSQL",
      where,
      why,
      hint: "take a point anew: it makes a new base",
    });
  /** Replaying the creation of a tablespace would make a directory at the source's path; one that was dropped is replayed. */
  const checkTablespaces = (now: readonly string[]) => {
    const has = ofStanding ?? ended().tablespaces;
    if (now.some((oid) => !has.includes(oid))) throw changed("a tablespace was created since the base");
  };
  // A shipped log goes over from one timeline to the next.
  const checkTimeline = ({ timeline }: TakenMark) => {
    if (standing || timeline === ended().timeline) return;
    throw changed(`the server is on timeline ${timeline}, and its base on ${ended().timeline}`);
  };

  const resources = opened.move();
  const freshMarking = async () => {
    if (marking.isLost()) marking = resources.use(await openMarking());
    return marking;
  };
  const placeOf = (taken: TakenMark) => ({
    place: logPositionOf({ timeline: taken.timeline, at: taken.until }),
    target: logTargetOf(taken),
    at: toInstant(context.now()),
  });
  const { base: made, ...others } = description;
  return {
    description: standing || made === undefined ? others : { ...others, base: made },

    async base(tree) {
      base = undefined;
      await using copying = await connect({
        ...options,
        what: "Cannot copy PostgreSQL's data directory",
        replication: true,
      });
      const taken = await takeBase(copying, tree, { directory: context.directory, blockBytes, major });
      slot?.connection.check();
      const mtimeMs = context.now();
      carried.tablespaces = await namedTablespaces(await freshMarking());
      if (carried.tablespaces.some(({ oid }) => !taken.tablespaces.includes(oid)))
        throw changed("a tablespace was created while the base was made");
      await addHistory(tree, copying, { ...taken, mtimeMs });
      await addBaseFacts(tree, { ...taken, ...carried }, mtimeMs);
      // Recovery reads the first segment from its beginning.
      await tree.covers(logRangeOf(taken.timeline, segmentStart(taken.start, segmentBytes), taken.end));
      base = taken;
      context.log("base taken", { start: formatLsn(taken.start), end: formatLsn(taken.end), timeline: taken.timeline });
    },

    async settle() {
      slot?.connection.check();
      const now = await namedTablespaces(await freshMarking());
      checkTablespaces(now.map(({ oid }) => oid));
      if (standing) carried.tablespaces = now;
      await counting.settle();
    },

    async mark({ cutId }): Promise<Mark> {
      slot?.connection.check();
      await counting.openSnapshots();
      const taken = await takeMark(marking, cutId, facts.mayMark);
      checkTimeline(taken);
      checkTablespaces(taken.tablespaces);
      const uncounted = await counting.keep(cutId, taken.xid);
      const detail: MarkDetail | undefined = standing
        ? undefined
        : {
            target: taken.target,
            lsn: taken.lsn,
            timeline: taken.timeline,
            start: ended().start,
            until: taken.until,
            ancestry: [],
            action: "promote",
            ...carried,
          };
      current = { cutId, detail };
      const name = taken.target.by === "name" ? `${taken.target.name} at ` : "";
      return {
        cutId,
        position: `${name}${formatLsn(taken.lsn)}, timeline ${taken.timeline}`,
        ...(detail === undefined
          ? { detail: ofMark(carried.tablespaces), log: placeOf(taken) }
          : { detail: markDetail.encode(detail) }),
        ...(facts.mayMark ? {} : { fuzzy: MARK_RIGHT_MISSING }),
        notes: [
          ...(unlogged.length === 0 ? [] : [`unlogged tables come back empty: ${unlogged.join(", ")}`]),
          ...(isAnew ? [BASE_MADE_ANEW] : []),
          ...uncounted,
        ],
      };
    },

    async finish(tree) {
      if (current === undefined) {
        throw new StillpointError("INTERNAL", { what: "Cannot finish PostgreSQL", where, why: "it was not marked" });
      }
      const { cutId, detail } = current;
      checkTablespaces(await furtherTablespaces(await freshMarking()));
      const mtimeMs = context.now();
      if (detail === undefined || slot === undefined) return addCounts(tree, await counting.count(cutId), mtimeMs);
      const [counts] = await Promise.all([counting.count(cutId), addLog(tree, slot, { ...detail, mtimeMs })]);
      await addCounts(tree, counts, mtimeMs);
      await tree.covers(logRangeOf(detail.timeline, segmentStart(detail.start, segmentBytes), detail.until));
    },

    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
