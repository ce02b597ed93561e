import { StillpointError } from "@stillpoint/contracts/errors";
import type { SqliteSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { type CaptureLimits, openCapture } from "./capture.ts";
import { RUNTIME_ID } from "./describe.ts";
import { type FoundDatabase, findDatabases } from "./find-databases.ts";
import { startHolder } from "./holder-client.ts";
import { layoutSqlite } from "./layout.ts";
import { machineClock } from "./machine-clock.ts";
import { recoverShipped } from "./recover.ts";
import { startSandbox } from "./sandbox.ts";
import { shipSqlite } from "./ship.ts";
import { SHIP_LIMITS, type ShipLimits } from "./ship-limits.ts";

const LIMITS: CaptureLimits = { walLimitBytes: 64 << 20, watchEveryMs: 500 };

export function createSqliteDriver(
  limits: CaptureLimits,
  shipLimits: ShipLimits = SHIP_LIMITS,
): Driver<SqliteSource> & Required<Pick<Driver<SqliteSource>, "ship">> {
  return {
    kind: "sqlite",
    async open(source, context, { heldPlace } = {}) {
      const found = await findSource(source);
      await using failed = new AsyncDisposableStack();
      const holder = failed.use(await startHolder(context.signal));
      const clock = await machineClock();
      const capture = await openCapture(source, found, { holder, context, limits, clock, heldPlace });
      failed.move();
      return capture;
    },
    async ship(source, options, context) {
      await findSource(source);
      const clock = await machineClock();
      if (clock === undefined) throw noClock(source);
      await shipSqlite(source, options, { context, limits: shipLimits, clock });
    },
    layout: layoutSqlite,
    recover: recoverShipped,
    async runtimes() {
      // SQLite comes with Node.
      return [RUNTIME_ID];
    },
    start: startSandbox,
    addresses() {
      // A file answers at no address.
      return [];
    },
  };
}

async function findSource({ path }: SqliteSource): Promise<FoundDatabase[]> {
  const found = await findDatabases(path);
  if (found.length > 0) return found;
  throw new StillpointError("SOURCE_UNREACHABLE", {
    what: "Cannot find an SQLite database",
    where: path,
    why: "no file is there",
    hint: "is the path the one that the agent sees?",
  });
}

function noClock({ path }: SqliteSource): StillpointError {
  return new StillpointError("SOURCE_UNSUPPORTED", {
    what: "Cannot ship the log of an SQLite database",
    where: path,
    why: "positions are counted by the time since the machine's start, and this system does not name that start (/proc)",
    hint: "in the plan, ship: off; points are made all the same",
  });
}

export const sqliteDriver = createSqliteDriver(LIMITS);
