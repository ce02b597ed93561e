import { setTimeout as delay } from "node:timers/promises";
import type { Command, Event, Request, Signal, SubjectParameters } from "@stillpoint/contracts/messages";
import { BUCKETS, type BucketDefinition } from "@stillpoint/contracts/topology";
import type { z } from "zod";
import { type AnswerOptions, type Asked, answer, hearSignals } from "./answer.ts";
import { openAttempts } from "./attempts.ts";
import { type Bucket, openBucket } from "./bucket.ts";
import { type Connection, type ConnectionOptions, openConnection } from "./connection.ts";
import { type DeadLetter, listDeadLetters, projectDeadLetters, replayDeadLetter } from "./dead-letters.ts";
import { type Fact, type FollowEventsOptions, followEvents, lastEventSequence } from "./events.ts";
import { acquireLease, type Lease, type LeaseOptions } from "./lease.ts";
import { type Binding, type ProjectOptions, projectEvents } from "./project.ts";
import {
  type CommandOptions,
  type Published,
  publishCommand,
  readCommand,
  type StoredCommand,
} from "./publish-command.ts";
import { type EventOptions, publishEvent, publishSignal } from "./publish-event.ts";
import { deleteCommand, purgeCommands } from "./remove-commands.ts";
import { hearJson, type RequestOptions, request, requestJson } from "./request.ts";
import { type CommandHandler, type TakeOptions, type Taking, takeCommands } from "./take-commands.ts";
import { ensureTopology, type TopologyOptions } from "./topology.ts";

export type BusOptions = ConnectionOptions & TopologyOptions;

export type Bus = AsyncDisposable & {
  name: string;
  isConnected: () => boolean;
  /** Resolves when the connection is gone for good: on disposal, or because the server refused us. */
  closed: () => Promise<Error | undefined>;

  publishEvent: <Definition extends Event>(
    event: Definition,
    parameters: SubjectParameters<Definition["subject"]>,
    body: z.input<Definition["body"]>,
    options?: EventOptions,
  ) => Promise<{ sequence: number }>;
  publishSignal: <Definition extends Signal>(
    signal: Definition,
    parameters: SubjectParameters<Definition["subject"]>,
    body: z.input<Definition["body"]>,
  ) => void;
  hearSignals: <Definition extends Signal>(
    signal: Definition,
    options: AnswerOptions<Definition>,
    handler: (heard: Asked<Definition>) => void,
  ) => Promise<AsyncDisposable>;

  publishCommand: <Definition extends Command>(
    command: Definition,
    parameters: SubjectParameters<Definition["subject"]>,
    body: z.input<Definition["body"]>,
    options: CommandOptions,
  ) => Promise<Published<Definition>>;
  readCommand: <Definition extends Command>(
    command: Definition,
    parameters: SubjectParameters<Definition["subject"]>,
  ) => Promise<StoredCommand<Definition> | undefined>;
  deleteCommand: (command: Command, sequence: number) => Promise<void>;
  purgeCommands: <Definition extends Command>(
    command: Definition,
    parameters: Partial<SubjectParameters<Definition["subject"]>>,
  ) => Promise<number>;
  takeCommands: <Definition extends Command>(
    command: Definition,
    options: TakeOptions<Definition>,
    handler: CommandHandler<Definition>,
  ) => Promise<Taking>;

  projectEvents: (durable: string, bindings: readonly Binding[], options?: ProjectOptions) => Promise<AsyncDisposable>;
  followEvents: <Definition extends Event>(
    events: readonly Definition[],
    options: FollowEventsOptions<Definition>,
  ) => AsyncGenerator<Fact<Definition> | { type: "current" }, void, void>;
  lastEventSequence: () => Promise<number>;

  request: <Definition extends Request>(
    request: Definition,
    parameters: SubjectParameters<Definition["subject"]>,
    body: z.input<Definition["body"]>,
    options: RequestOptions,
  ) => Promise<z.output<Definition["reply"]>>;
  /** Bare JSON to a subject that is not ours; the reply as it came, to be parsed by the asker. */
  requestJson: (subject: string, body: unknown, timeoutMs: number) => Promise<unknown>;
  /** What others publish on a subject that is not ours, as it came. */
  hearJson: (subject: string, handler: (body: unknown) => void) => Promise<AsyncDisposable>;
  answer: <Definition extends Request>(
    request: Definition,
    options: AnswerOptions<Definition>,
    handler: (asked: Asked<Definition>) => Promise<z.input<Definition["reply"]>>,
  ) => Promise<AsyncDisposable>;

  bucket: <Definition extends BucketDefinition>(definition: Definition) => Promise<Bucket<Definition>>;
  acquireLease: (key: string, owner: string, options?: Partial<LeaseOptions>) => Promise<Lease | undefined>;

  listDeadLetters: (options: { limit: number; before?: number }) => Promise<DeadLetter[]>;
  replayDeadLetter: (sequence: number) => Promise<void>;
  projectDeadLetters: (
    durable: string,
    handler: (letter: DeadLetter) => Promise<void>,
    options?: ProjectOptions,
  ) => Promise<AsyncDisposable>;
};

/** Connects, and makes streams and buckets what the contracts say. Disposal drains: it goes last. */
export async function openBus(options: BusOptions): Promise<Bus> {
  const connection = await openConnection(options);
  try {
    await ensureTopology(connection, options);
    return await assemble(connection, options);
  } catch (error) {
    await connection.nc.close();
    throw error;
  }
}

/** Connects to an installation as a guest: streams and buckets are left as its services made them, no lease is taken. */
export async function joinBus(options: ConnectionOptions): Promise<Omit<Bus, "acquireLease">> {
  const connection = await openConnection(options);
  try {
    return await assemble(connection, { leaseTtlMs: 0 });
  } catch (error) {
    await connection.nc.close();
    throw error;
  }
}

async function assemble(connection: Connection, options: Pick<BusOptions, "leaseTtlMs">): Promise<Bus> {
  const leases = await openBucket(connection, BUCKETS.leases);
  const attempts = await openAttempts(connection);
  return {
    name: connection.name,
    isConnected: connection.link.isUp,
    closed: async () => (await connection.nc.closed()) ?? undefined,
    publishEvent: (event, parameters, body, rest) => publishEvent(connection, event, parameters, body, rest),
    publishSignal: (signal, parameters, body) => publishSignal(connection, signal, parameters, body),
    hearSignals: (signal, rest, handler) => hearSignals(connection, signal, rest, handler),
    publishCommand: (command, parameters, body, rest) => publishCommand(connection, command, parameters, body, rest),
    readCommand: (command, parameters) => readCommand(connection, command, parameters),
    deleteCommand: (command, sequence) => deleteCommand(connection, command, sequence),
    purgeCommands: (command, parameters) => purgeCommands(connection, command, parameters),
    takeCommands: (command, rest, handler) => takeCommands(connection, attempts, command, rest, handler),
    projectEvents: (durable, bindings, rest) => projectEvents(connection, durable, bindings, rest),
    followEvents: (events, rest) => followEvents(connection, events, rest),
    lastEventSequence: () => lastEventSequence(connection),
    request: (definition, parameters, body, rest) => request(connection, definition, parameters, body, rest),
    requestJson: (subject, body, timeoutMs) => requestJson(connection, subject, body, timeoutMs),
    hearJson: (subject, handler) => hearJson(connection, subject, handler),
    answer: (definition, rest, handler) => answer(connection, definition, rest, handler),
    bucket: (definition) => openBucket(connection, definition),
    acquireLease: (key, owner, rest) =>
      acquireLease(connection, leases, key, owner, { ttlMs: options.leaseTtlMs, ...rest }),
    listDeadLetters: (rest) => listDeadLetters(connection, rest),
    replayDeadLetter: (sequence) => replayDeadLetter(connection, sequence),
    projectDeadLetters: (durable, handler, rest) => projectDeadLetters(connection, durable, handler, rest),
    [Symbol.asyncDispose]: () => leave(connection),
  };
}

const DRAIN_WITHIN_MS = 5_000;

/** What was sent goes out first; without a server there is nobody to send it to. */
async function leave(connection: Connection): Promise<void> {
  const { nc } = connection;
  if (nc.isClosed()) return;
  if (connection.link.isUp()) {
    await Promise.race([nc.drain(), delay(DRAIN_WITHIN_MS, undefined, { ref: false })]);
  }
  await nc.close();
}
