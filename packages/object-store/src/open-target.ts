import { StillpointError } from "@stillpoint/contracts/errors";
import { resolveSecret, Secret } from "@stillpoint/contracts/secret";
import { type BandwidthLimit, withBandwidthLimit } from "./bandwidth-limit.ts";
import type { BandwidthSchedule } from "./bandwidth-schedule.ts";
import type { Network } from "./network.ts";
import type { StorageClass } from "./object-classes.ts";
import type { ObjectStore } from "./object-store.ts";
import { type Observer, withObserver } from "./observe.ts";
import { openStore, s3Region } from "./open-store.ts";
import { withReadCache } from "./read-cache.ts";
import { withRetry } from "./retry.ts";
import type { Environment, StoreCredentials } from "./store-credentials.ts";
import { parseStoreUrl, type StorePlace } from "./store-url.ts";
import type { TargetSpec, TargetsSpec } from "./target-spec.ts";

/** What a target is opened with: the process's own environment, files, clocks and chance. */
export type TargetWorld = {
  environment: Environment;
  readFile: (path: string) => string;
  now: () => number;
  monotonicMs: () => number;
  random: () => number;
  sleep: (ms: number, signal?: AbortSignal) => Promise<void>;
  /** Hears of every call to the target itself, retries included. */
  observe?: ((target: string) => Observer) | undefined;
  /** Hears of a read cache that cannot be written or read. The read itself went on without it. */
  cacheFailed?: ((error: unknown) => void) | undefined;
};

export type OpenTarget = {
  name: string;
  store: ObjectStore;
  /** The store's URL with all that another machine needs to find it, but credentials. */
  placeUrl: string;
  compression: TargetSpec["compression"];
  /** For how long each new object is locked. */
  lockMs?: number | undefined;
  /** From which age an object belongs in which class, youngest first. */
  storageClasses: readonly { afterMs: number; storageClass: StorageClass }[];
};

const DAY_MS = 86_400_000;

function readText(world: TargetWorld, path: string): string {
  try {
    return world.readFile(path);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new StillpointError("CONFIG_INVALID", {
      what: "Cannot read a target's certificate",
      where: path,
      why,
      cause: error,
    });
  }
}

/** Judged here: what refuses it later would show it, password and all. */
function proxyOf(proxy: string, world: TargetWorld): Secret {
  const given = proxy.startsWith("${") ? resolveSecret(proxy, world) : new Secret(proxy);
  if (URL.canParse(given.reveal()) && new URL(given.reveal()).protocol === "http:") return given;
  throw new StillpointError("CONFIG_INVALID", {
    what: "Cannot use a target's proxy",
    where: proxy,
    why: "what stands there is no http://[user:password@]host:port",
  });
}

function networkOf({ proxy, ca, clientCertificate, connections }: TargetSpec, world: TargetWorld): Network {
  return {
    proxy: proxy === undefined ? undefined : proxyOf(proxy, world),
    ca: ca === undefined ? undefined : readText(world, ca),
    clientCertificate: clientCertificate && {
      certificate: readText(world, clientCertificate.certificate),
      key: resolveSecret(clientCertificate.key, world),
    },
    connections,
  };
}

function credentialsOf({ credentials: given }: TargetSpec, world: TargetWorld): StoreCredentials {
  if (given === undefined) return {};
  if ("keyFile" in given) return { gcs: given };
  const secret = (reference: string) => resolveSecret(reference, world);
  if ("accountKey" in given) return { azure: { account: given.account, accountKey: secret(given.accountKey) } };
  if ("sasToken" in given) return { azure: { account: given.account, sasToken: secret(given.sasToken) } };
  const { accessKeyId, secretAccessKey, sessionToken } = given;
  return {
    s3: {
      accessKeyId: secret(accessKeyId),
      secretAccessKey: secret(secretAccessKey),
      sessionToken: sessionToken === undefined ? undefined : secret(sessionToken),
    },
  };
}

type Rate = NonNullable<TargetSpec["bandwidth"]>["upload"];

function scheduleOf(rate: Rate, timeZone: string): BandwidthSchedule | undefined {
  if (rate === undefined) return undefined;
  if (typeof rate === "number") return { timeZone, bytesPerSecond: rate, windows: [] };
  const windows = rate.windows.map(({ days, from, to, limit }) => ({
    days,
    fromMinute: from,
    toMinute: to,
    bytesPerSecond: limit,
  }));
  return { timeZone, bytesPerSecond: rate.limit, windows };
}

function limitOf({ bandwidth }: TargetSpec, { now, sleep }: TargetWorld): BandwidthLimit | undefined {
  if (bandwidth === undefined) return undefined;
  const { timeZone, upload, download } = bandwidth;
  return { upload: scheduleOf(upload, timeZone), download: scheduleOf(download, timeZone), now, sleep };
}

/** A store is the same one wherever its bucket was said to be, so that its URL has no region; who opens it needs one. */
function placeUrl(url: string, place: StorePlace, environment: Environment): string {
  if (place.kind !== "s3") return url;
  return `${url}${url.includes("?") ? "&" : "?"}region=${encodeURIComponent(s3Region(place.parameters, environment))}`;
}

/**
 * A target behind its wrappers. From the inside out: the observer times the target and nothing else; the limit holds back
 * each try, for every one moves bytes; the cache comes last, so that a hit asks nobody. Nothing is asked of it yet.
 */
export async function openTarget(name: string, spec: TargetSpec, world: TargetWorld): Promise<OpenTarget> {
  const place = parseStoreUrl(spec.url);
  let store = await openStore(place, {
    environment: world.environment,
    credentials: credentialsOf(spec, world),
    endpoint: spec.endpoint,
    network: networkOf(spec, world),
    lockMode: spec.lockMode === "governance" ? "GOVERNANCE" : "COMPLIANCE",
  });
  if (world.observe !== undefined) store = withObserver(store, world.observe(name), world.monotonicMs);
  const limit = limitOf(spec, world);
  if (limit !== undefined) store = withBandwidthLimit(store, limit);
  store = withRetry(store, { random: world.random, sleep: world.sleep });
  if (spec.cache !== undefined) {
    const { directory, size } = spec.cache;
    store = await withReadCache(store, { directory, capBytes: size, failed: world.cacheFailed });
  }
  return {
    name,
    store,
    placeUrl: placeUrl(store.url, place, world.environment),
    compression: spec.compression,
    lockMs: spec.lockDays === undefined ? undefined : spec.lockDays * DAY_MS,
    storageClasses: spec.storageClasses.map(({ after, class: storageClass }) => ({ afterMs: after, storageClass })),
  };
}

export type OpenTargets = AsyncDisposable & { primary: OpenTarget; replicas: readonly OpenTarget[] };

/** Every target of a file. Disposing closes all. */
export async function openTargets(spec: TargetsSpec, world: TargetWorld): Promise<OpenTargets> {
  await using opening = new AsyncDisposableStack();
  const open = async (name: string, target: TargetSpec) => {
    const opened = await openTarget(name, target, world);
    opening.use(opened.store);
    return opened;
  };
  const primary = await open("primary", spec.primary);
  const replicas: OpenTarget[] = [];
  for (const [name, target] of Object.entries(spec.replicas)) replicas.push(await open(name, target));
  const opened = opening.move();
  return { primary, replicas, [Symbol.asyncDispose]: () => opened.disposeAsync() };
}
