import { StillpointError } from "@stillpoint/contracts/errors";
import type { LogGap, LogPosition, LogRange } from "@stillpoint/contracts/log";
import { describe, expect, it } from "vitest";
import { findServing, nearest, serve } from "../src/log/serve.ts";
import type { SourceLog } from "../src/log/source-log.ts";
import { deriveLog } from "../src/log/windows.ts";

type Log = Omit<SourceLog, "damaged">;

const place = (at: number) => String(at).padStart(3, "0");
const position = (stream: string, at: number): LogPosition => ({ stream, at: place(at) });
const range = (stream: string, from: number, to: number, after?: LogPosition): LogRange => ({
  stream,
  from: place(from),
  to: place(to),
  ...(after === undefined ? {} : { after }),
});
const instant = (second: number) => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString();
const full = (backupId: string, of: LogRange, at = 0) => ({
  backupId,
  range: of,
  storedMs: at * 1000,
  startedAt: instant(at),
});
const closed = (of: LogRange, storedMs = 0) => ({
  backupId: `c${of.stream}-${of.from}-${of.to}`,
  range: of,
  storedMs,
  bytes: 1,
});
const tail = (of: LogRange, storedMs = 0, fenceToken = 1) => ({
  id: `t${of.stream}-${of.from}-${of.to}-${fenceToken}`,
  range: of,
  fenceToken,
  storedMs,
  bytes: 1,
});
const gap = (more: Partial<LogGap>, at = 0): LogGap => ({
  plan: "shop",
  source: "orders",
  kind: "postgres",
  why: "lost",
  at: instant(at),
  ...more,
});
const logOf = (parts: Partial<Log>): Log => ({ fulls: [], closed: [], tails: [], gaps: [], ...parts });
const ends = (log: Log) => deriveLog(log).windows.map(({ from, to, bases }) => [from.at, to.at, bases.join(" ")]);
const failure = (work: () => unknown): StillpointError => {
  try {
    work();
  } catch (error) {
    if (error instanceof StillpointError) return error;
  }
  throw new Error("it did not fail");
};

describe("a window", () => {
  it("begins where a base is whole, and goes as far as closed stretches and tails reach without a hole", () => {
    const log = logOf({
      fulls: [full("b1", range("a", 10, 20))],
      closed: [closed(range("a", 0, 16)), closed(range("a", 16, 32))],
      tails: [tail(range("a", 30, 35)), tail(range("a", 35, 40)), tail(range("a", 42, 50))],
    });
    expect(ends(log)).toEqual([["020", "040", "b1"]]);
    expect(deriveLog(log).holes).toEqual([{ after: position("a", 40), until: position("a", 42) }]);
    expect(deriveLog(log)).toMatchObject({ held: position("a", 50), baseServes: false });
  });

  it("is one over several bases on one log; a later base ends a hole", () => {
    const parts = { closed: [closed(range("a", 0, 16)), closed(range("a", 16, 32)), closed(range("a", 40, 60), 5)] };
    const fulls = [
      full("b2", range("a", 18, 20), 2),
      full("b1", range("a", 4, 6), 1),
      full("b3", range("a", 44, 50), 5),
    ];
    const log = logOf({ ...parts, fulls });
    expect(ends(log)).toEqual([
      ["006", "032", "b1 b2"],
      ["050", "060", "b3"],
    ]);
    expect(deriveLog(log).baseServes).toBe(true);
    expect(findServing(log, position("a", 19))?.base).toBe("b1");
    expect(findServing(log, position("a", 20))?.base).toBe("b2");
    expect(findServing(log, position("a", 45))).toBeUndefined();
  });

  it("is one place where a base needs no log and none is held", () => {
    const log = logOf({ fulls: [full("b1", range("a", 9, 9))] });
    expect(ends(log)).toEqual([["009", "009", "b1"]]);
    expect(serve(log, "newest")).toEqual({ at: position("a", 9), base: "b1", reads: [] });
    expect(deriveLog(log)).toMatchObject({ held: position("a", 9), baseServes: true });
  });

  it("ends at a recorded gap, also where no byte is missing; only a base that was begun after it serves behind it", () => {
    const log = (fulls: Log["fulls"]) =>
      logOf({
        fulls,
        tails: [tail(range("a", 0, 20)), tail(range("a", 20, 40))],
        gaps: [gap({ after: position("a", 20) }, 5)],
      });
    const before = full("b1", range("a", 2, 4), 1);
    expect(ends(log([before]))).toEqual([["004", "020", "b1"]]);
    expect(ends(log([before, full("b2", range("a", 20, 22), 4)]))).toEqual([["004", "020", "b1"]]);
    expect(ends(log([before, full("b2", range("a", 20, 22), 6)]))).toEqual([
      ["004", "020", "b1"],
      ["022", "040", "b2"],
    ]);
    expect(deriveLog(log([before]))).toMatchObject({ held: position("a", 40), baseServes: false });
    expect(deriveLog(log([before])).holes).toEqual([
      { after: position("a", 20), gap: gap({ after: position("a", 20) }, 5) },
    ]);
  });

  it("goes on in the stream that another was left for, and leaves what that one wrote after it aside", () => {
    const left = position("a", 20);
    const log = logOf({
      fulls: [full("b1", range("a", 2, 4))],
      closed: [closed(range("a", 0, 16)), closed(range("b", 20, 32, left), 9)],
      tails: [tail(range("a", 16, 25), 1), tail(range("b", 32, 35), 10)],
    });
    expect(deriveLog(log).windows.map(({ from, to }) => [from, to])).toEqual([
      [position("a", 4), position("a", 25)],
      [position("a", 4), position("b", 35)],
    ]);
    expect(serve(log, "newest")).toEqual({
      at: position("b", 35),
      base: "b1",
      reads: [
        { type: "closed", backupId: "ca-000-016", stream: "a", from: "002", to: "016" },
        { type: "tail", id: "ta-016-025-1", stream: "a", from: "016", to: "020" },
        { type: "closed", backupId: "cb-020-032", stream: "b", from: "020", to: "032" },
        { type: "tail", id: "tb-032-035-1", stream: "b", from: "032", to: "035" },
      ],
    });
    // The earlier stream is held to before that place only: a hole, and nothing behind it.
    const short = {
      ...log,
      tails: log.tails.map((each) => ({ ...each, range: { ...each.range, to: "018" } })).slice(0, 1),
    };
    expect(findServing(short, position("b", 30))).toBeUndefined();
    expect(deriveLog(short).holes).toEqual([{ after: position("a", 18), until: position("b", 20) }]);
  });

  it("ends where streams lead in a circle", () => {
    const log = logOf({
      fulls: [full("b1", range("a", 5, 5))],
      closed: [closed(range("a", 2, 9, position("b", 3))), closed(range("b", 1, 9, position("a", 7)))],
    });
    expect(serve(log, position("b", 9)).reads.map(({ stream, from, to }) => `${stream}${from}-${to}`)).toEqual([
      "a005-007",
      "b001-009",
    ]);
    expect(deriveLog(log).windows.length).toBeGreaterThan(0);
  });
});

describe("a place", () => {
  const log = logOf({
    fulls: [full("b1", range("a", 0, 2)), full("b2", range("a", 50, 60), 9)],
    closed: [closed(range("a", 10, 20)), closed(range("a", 55, 70), 9)],
    tails: [tail(range("a", 0, 6)), tail(range("a", 4, 14)), tail(range("a", 18, 30)), tail(range("a", 50, 56), 9)],
    gaps: [gap({ after: position("a", 30), until: position("a", 50), why: "the slot was lost" })],
  });

  it("is served by closed stretches, and by tails where there is none; what overlaps is read once", () => {
    const reads = (at: number) =>
      serve(log, position("a", at)).reads.map(({ type, from, to }) => `${type} ${from}-${to}`);
    expect(reads(30)).toEqual(["tail 000-006", "tail 006-010", "closed 010-020", "tail 020-030"]);
    expect(reads(2)).toEqual(["tail 000-002"]);
    expect(reads(65)).toEqual(["tail 050-055", "closed 055-065"]);
  });

  it("of several tails alike is read from that of the newest writer", () => {
    const two = [tail(range("a", 0, 9), 5, 3), tail(range("a", 0, 9), 4, 8), tail(range("a", 0, 9), 6, 7)];
    const { reads } = serve(logOf({ fulls: [full("b", range("a", 0, 0))], tails: two }), "newest");
    expect(reads).toMatchObject([{ id: "ta-000-009-8" }]);
  });

  it("in a hole is refused with the reason that was recorded and the nearest places that can be had", () => {
    const error = failure(() => serve(log, position("a", 40)));
    expect(error).toMatchObject({ code: "LOG_GAP", why: "it lies in a gap: the slot was lost", where: "040 in a" });
    expect(error.hint).toBe("the nearest places that can be had: 030 in a, 060 in a");
    expect(nearest(log, position("a", 80))).toEqual({ before: position("a", 70) });
    expect(failure(() => serve(log, position("z", 4))).hint).toBe("the newest place that can be had: 070 in a");
  });

  it("without any base is refused, also the newest", () => {
    const without = { ...log, fulls: [] };
    expect(failure(() => serve(without, "newest"))).toMatchObject({ code: "LOG_GAP" });
    expect(deriveLog(without)).toMatchObject({ windows: [], held: position("a", 70), baseServes: false });
  });
});

describe("a shipper goes on", () => {
  it("from the newest that is held, and from nothing where a gap was recorded behind it", () => {
    const tails = [tail(range("a", 0, 20), 1), tail(range("b", 0, 5), 2)];
    expect(deriveLog(logOf({ tails })).held).toEqual(position("b", 5));
    expect(deriveLog(logOf({ tails, gaps: [gap({ after: position("b", 5) })] })).held).toBeUndefined();
    expect(deriveLog(logOf({})).held).toBeUndefined();
  });

  it("from where the log of a newer base begins, but not back from what was shipped meanwhile", () => {
    const tails = [tail(range("a", 0, 20), 1)];
    expect(deriveLog(logOf({ tails, fulls: [full("b", range("a", 30, 40), 9)] })).held).toEqual(position("a", 30));
    expect(deriveLog(logOf({ tails, fulls: [full("b", range("a", 15, 22), 9)] })).held).toEqual(position("a", 20));
  });
});

/** Numbers that look random and are the same in every run. */
function dice(seed: number) {
  let state = seed * 2_654_435_761 + 1;
  return (below: number) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 4_294_967_296) * below);
  };
}

const STREAMS = ["a", "b", "c"];
const LONG = 24;

function randomLog(seed: number): Log {
  const roll = dice(seed);
  const log = logOf({});
  const some = (stream: string, after?: LogPosition) => {
    const from = roll(LONG);
    return range(stream, from, Math.min(LONG, from + roll(8)), after);
  };
  for (const [i, stream] of STREAMS.entries()) {
    for (let n = roll(8); n > 0; n--) {
      // Only later streams go on from earlier ones.
      const after = i > 0 && roll(3) === 0 ? position(STREAMS[roll(i)] ?? "a", roll(LONG)) : undefined;
      const of = some(stream, after);
      if (roll(2) === 0) log.closed.push({ ...closed(of, roll(100)), backupId: `c${log.closed.length}` });
      else log.tails.push({ ...tail(of, roll(100), roll(3)), id: `t${log.tails.length}` });
    }
    for (let n = roll(3); n > 0; n--) log.fulls.push(full(`b${log.fulls.length}`, some(stream), roll(10)));
    if (roll(3) === 0) {
      const after = roll(4) === 0 ? {} : { after: position(stream, roll(LONG)) };
      log.gaps.push(gap({ ...after, ...(roll(2) === 0 ? {} : { until: position(stream, roll(LONG)) }) }, roll(10)));
    }
  }
  return log;
}

/** The same by looking at each place alone, as slowly as can be. */
function model(log: Log) {
  const pieces = [...log.closed, ...log.tails];
  const isHeld = (stream: string, from: number, to: number) => {
    for (let at = from; at < to; at++)
      if (!pieces.some(({ range: each }) => each.stream === stream && each.from <= place(at) && place(at) < each.to))
        return false;
    return true;
  };
  const barriers = (stream: string) =>
    log.gaps.flatMap(({ after, until, at }) => [
      ...(after?.stream === stream ? [{ at: Number(after.at), lostAt: at }] : []),
      ...(until?.stream === stream ? [{ at: Number(until.at), lostAt: "" }] : []),
    ]);
  function isPossible(stream: string, at: number, goesOn = false): boolean {
    const gaps = barriers(stream);
    const isCrossed = (from: number) => gaps.some((each) => each.at > from && (goesOn ? each.at <= at : each.at < at));
    const byBase = log.fulls.some(({ range: { stream: of, from: begin, to }, startedAt }) => {
      const from = Number(begin);
      if (of !== stream || Number(to) > at || !isHeld(stream, from, at) || isCrossed(from)) return false;
      const isPast = gaps.every((each) => each.at !== from || startedAt >= each.lostAt);
      return isPast || (from === at && !goesOn);
    });
    if (byBase) return true;
    return pieces.some(({ range: { stream: of, from: begin, to, after } }) => {
      const from = Number(begin);
      if (of !== stream || after === undefined || begin >= to || from > at || !isHeld(stream, from, at)) return false;
      if (gaps.some((each) => each.at === from) || isCrossed(from)) return false;
      return isPossible(after.stream, Number(after.at), true);
    });
  }
  return isPossible;
}

/** Whether a place is another, or one stream after the other was left for it there. */
function leads(log: Log, from: LogPosition, to: LogPosition): boolean {
  if (from.stream === to.stream) return from.at === to.at;
  return [...log.closed, ...log.tails].some(
    ({ range: { stream, from: at, after } }) =>
      stream === to.stream && at === to.at && after !== undefined && leads(log, from, after),
  );
}

describe("whatever is held", () => {
  const seeds = Array.from({ length: 800 }, (_, seed) => seed + 1);

  it("exactly the places are served that a way without a hole leads to", () => {
    let possible = 0;
    for (const seed of seeds) {
      const log = randomLog(seed);
      const isPossible = model(log);
      for (const stream of STREAMS) {
        const places = Array.from({ length: LONG + 1 }, (_, at) => at);
        const served = places.filter((at) => findServing(log, position(stream, at)) !== undefined);
        expect(served, `seed ${seed}, ${stream}`).toEqual(places.filter((at) => isPossible(stream, at)));
        possible += served.length;
      }
    }
    expect(possible).toBeGreaterThan(2_000);
  });

  it("what serves a place begins with its base, ends at the place, has no hole, and reads closed stretches first", () => {
    for (const seed of seeds) {
      const log = randomLog(seed);
      for (const stream of STREAMS)
        for (let at = 0; at <= LONG; at += 3) {
          const serving = findServing(log, position(stream, at));
          if (serving === undefined) continue;
          const base = log.fulls.find(({ backupId }) => backupId === serving.base);
          let now = { stream: base?.range.stream ?? "", at: base?.range.from ?? "" };
          for (const read of serving.reads) {
            expect(leads(log, now, { stream: read.stream, at: read.from }), `seed ${seed}`).toBe(true);
            now = { stream: read.stream, at: read.to };
            const piece =
              read.type === "closed"
                ? log.closed.find(({ backupId }) => backupId === read.backupId)
                : log.tails.find(({ id }) => id === read.id);
            expect(piece?.range.stream).toBe(read.stream);
            expect((piece?.range.from ?? "~") <= read.from && read.to <= (piece?.range.to ?? "")).toBe(true);
            if (read.type === "tail")
              for (const { range: each } of log.closed)
                expect(
                  each.stream !== read.stream || each.to <= read.from || read.to <= each.from || each.from >= each.to,
                ).toBe(true);
          }
          if (serving.reads.length > 0 && now.stream === stream) expect(now.at).toBe(place(at));
        }
    }
  });

  it("windows begin and end at places that are served, and hold each place that is", () => {
    for (const seed of seeds) {
      const log = randomLog(seed);
      const { windows, held } = deriveLog(log);
      for (const { from, to, base } of windows) {
        expect(findServing(log, from)?.base, `seed ${seed}`).toBeDefined();
        expect(findServing(log, to), `seed ${seed}`).toBeDefined();
        expect(log.fulls.map(({ backupId }) => backupId)).toContain(base);
      }
      // In the first stream, which goes on from no other, a window is all between its ends.
      for (let at = 0; at <= LONG; at++) {
        const each = position("a", at);
        const inWindow = windows.some(
          ({ from, to }) => from.stream === "a" && from.at <= each.at && (to.stream !== "a" || each.at <= to.at),
        );
        if (findServing(log, each) !== undefined) expect(inWindow, `seed ${seed}, ${at}`).toBe(true);
      }
      if (held !== undefined) expect(STREAMS).toContain(held.stream);
    }
  });

  it("a place that is not served has the nearest ones before and behind it named", () => {
    for (const seed of seeds.slice(0, 200)) {
      const log = randomLog(seed);
      for (const stream of STREAMS) {
        const served = Array.from({ length: LONG + 1 }, (_, at) => at).filter((at) =>
          findServing(log, position(stream, at)),
        );
        for (let at = 0; at <= LONG; at++) {
          if (served.includes(at)) continue;
          const before = served.findLast((each) => each < at);
          const behind = served.find((each) => each > at);
          expect(nearest(log, position(stream, at)), `seed ${seed}, ${stream} ${at}`).toEqual({
            ...(before === undefined ? {} : { before: position(stream, before) }),
            ...(behind === undefined ? {} : { behind: position(stream, behind) }),
          });
        }
      }
    }
  });
});
