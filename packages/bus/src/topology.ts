import { isDeepStrictEqual } from "node:util";
import type { StreamConfig } from "@nats-io/jetstream";
import { nanos, type WithRequired } from "@nats-io/transport-node";
import { StillpointError } from "@stillpoint/contracts/errors";
import { BUCKETS, type BucketDefinition, STREAMS, type StreamDefinition } from "@stillpoint/contracts/topology";
import type { Connection } from "./connection.ts";
import { API, hasApiCode } from "./failure.ts";
import { persist } from "./persist.ts";

export type TopologyOptions = {
  /** A lease that is not renewed for this long is gone. */
  leaseTtlMs: number;
  /** Servers of the cluster that each hold the data. */
  replicas: number;
};

type Config = WithRequired<Partial<StreamConfig>, "name">;

/** Watchers that were away for less than this still learn that a key expired. */
const MARKER_TTL_MS = 3_600_000;
const LONGEST_DUPLICATE_WINDOW_MS = 120_000;

export function bucketStream(name: string): string {
  return `KV_${name}`;
}

export function streamConfig(stream: StreamDefinition, options: TopologyOptions): Config {
  return {
    name: stream.name,
    subjects: [...stream.subjects],
    retention: stream.retention,
    storage: "file",
    num_replicas: options.replicas,
    max_age: nanos(stream.maxAgeMs),
    duplicate_window: nanos(stream.duplicateWindowMs),
    allow_direct: true,
    // The server itself refuses a second message of a subject while the first is queued or under way.
    ...(stream.onePerSubject
      ? { discard: "new" as const, discard_new_per_subject: true, max_msgs_per_subject: 1 }
      : { discard: "old" as const }),
  };
}

export function bucketConfig(bucket: BucketDefinition, options: TopologyOptions): Config {
  const ttlMs = bucket.ttl === "lease" ? options.leaseTtlMs : (bucket.ttl ?? 0);
  return {
    name: bucketStream(bucket.name),
    subjects: [`$KV.${bucket.name}.>`],
    retention: "limits",
    storage: "file",
    num_replicas: options.replicas,
    max_msgs_per_subject: bucket.history,
    discard: "new",
    allow_rollup_hdrs: true,
    deny_delete: true,
    allow_direct: true,
    max_age: nanos(ttlMs),
    duplicate_window: nanos(ttlMs === 0 ? LONGEST_DUPLICATE_WINDOW_MS : Math.min(LONGEST_DUPLICATE_WINDOW_MS, ttlMs)),
    ...(ttlMs === 0 ? {} : { allow_msg_ttl: true, subject_delete_marker_ttl: nanos(MARKER_TTL_MS) }),
  };
}

/** Makes streams and buckets what the contracts say. Any number of processes may do so at once, again and again. */
export async function ensureTopology(connection: Connection, options: TopologyOptions): Promise<void> {
  const configs = [
    ...Object.values(STREAMS).map((stream) => streamConfig(stream, options)),
    ...Object.values(BUCKETS).map((bucket) => bucketConfig(bucket, options)),
  ];
  await Promise.all(configs.map((config) => ensureStream(connection, config)));
}

export async function ensureStream(connection: Connection, config: Config): Promise<void> {
  const what = `Cannot make the stream ${config.name}`;
  const info = await persist(connection, what, connection.nc.getServer(), async () => {
    try {
      return await connection.jsm.streams.add(config);
    } catch (error) {
      if (!hasApiCode(error, API.STREAM_EXISTS_OTHERWISE)) throw error;
      const { name, retention: _, storage: __, ...updatable } = config; // neither can be changed, the comparison below tells
      return connection.jsm.streams.update(name, updatable);
    }
  });
  assertConfig(config, info.config, config.name);
}

/** Compares what was asked for with what the server says it has: it may drop a field that it does not know. */
export function assertConfig(requested: object, returned: object, where: string): void {
  const actual: Readonly<Record<string, unknown>> = { ...returned };
  for (const [field, value] of Object.entries(requested)) {
    // The server leaves out what is zero, false or empty.
    const isDefault = value === 0 || value === false || value === undefined;
    if (isDeepStrictEqual(actual[field], value) || (isDefault && !actual[field])) continue;
    throw new StillpointError("CONFIG_INVALID", {
      what: "NATS does not hold the configuration that was asked for",
      where: `${where}.${field}`,
      why: `asked for ${JSON.stringify(value)}, got ${JSON.stringify(actual[field])}`,
      hint: "is the server older than 2.14, or was this made by another version? compare `nats stream info`",
    });
  }
}
