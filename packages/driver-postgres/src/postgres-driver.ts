import type { PostgresSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { openCapture } from "./capture.ts";
import { openDump } from "./dump-capture.ts";
import { isDump } from "./dump-mark.ts";
import { startLoaded } from "./dump-sandbox.ts";
import { layout } from "./layout.ts";
import { letGoOfSlot } from "./let-go.ts";
import { recoverLog } from "./recover.ts";
import { libcOfProgram, programVersion, runtimeId } from "./runtime.ts";
import { startSandbox } from "./sandbox.ts";
import { shipWal } from "./ship-wal.ts";
import { probeAddress, sourceAddress } from "./source-address.ts";

/** PostgreSQL 13 and later: a physical base over the replication protocol, and the WAL up to a restore point, or all of it, as it is written. */
export const postgresDriver: Driver<PostgresSource> = {
  kind: "postgres",
  open: (source, ...rest) => (source.dump === undefined ? openCapture : openDump)(source, ...rest),
  ship: shipWal,
  letGo: letGoOfSlot,
  layout,
  recover: recoverLog,
  async runtimes({ postgresBin }) {
    const version = postgresBin === undefined ? undefined : await programVersion(postgresBin);
    if (postgresBin === undefined || version === undefined) return [];
    return [runtimeId(version.major, await libcOfProgram(postgresBin))];
  },
  start: (input, context) => (isDump(input.mark) ? startLoaded : startSandbox)(input, context),
  addresses: (source) => [probeAddress(sourceAddress(source))],
};
