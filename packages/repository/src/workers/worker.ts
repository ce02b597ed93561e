import { createHmac, timingSafeEqual } from "node:crypto";
import { parentPort, workerData } from "node:worker_threads";
import { type Cutter, cutter } from "../chunking/cutter.ts";
import { pack, unpack } from "../format/codec.ts";
import { packPieceAad } from "../format/pack-format.ts";
import * as aead from "../keys/aead.ts";
import type {
  CutResult,
  CutTask,
  NameResult,
  NameTask,
  OpenResult,
  OpenTask,
  Reply,
  Request,
  ResultOf,
  SealResult,
  SealTask,
  Task,
  WorkerSetup,
} from "./tasks.ts";

const setup = workerData as WorkerSetup; // given by worker-pool.ts alone
const cutting: Cutter = cutter(setup.chunking, setup.gear);
/** No chunk's plain bytes are longer. */
const LONGEST = 16 * 1024 * 1024;

function cut({ slab, carry, at, end, pieces, state, last }: CutTask): CutResult {
  const bytes = new Uint8Array(slab);
  const begin = at - state.open;
  bytes.set(new Uint8Array(carry, 0, state.open), begin);
  const lengths: number[] = [];
  const after = cutting.cut(bytes, at, pieces, state, lengths);
  if (last && after.open > 0) {
    lengths.push(after.open);
    after.open = 0;
  }
  new Uint8Array(carry).set(bytes.subarray(end - after.open, end));
  return { lengths, state: after };
}

function nameOf(bytes: Uint8Array, epoch: number, type: "data" | "tree"): Buffer {
  const key = setup.nameKeys.get(epoch)?.[type];
  if (key === undefined) throw new Error(`epoch ${epoch} is not known`);
  return createHmac("sha256", key).update(bytes).digest();
}

function name({ slab, spans, epoch, type }: NameTask): NameResult {
  const names = new Uint8Array(spans.length * 32);
  spans.forEach(({ start, length }, i) => {
    names.set(nameOf(new Uint8Array(slab, start, length), epoch, type), i * 32);
  });
  return { names };
}

function seal({ slab, spans, header, key }: SealTask): SealResult {
  const pieces = spans.map(({ start, length, position }) =>
    aead.seal(key, position, packPieceAad(header, position), ...pack(new Uint8Array(slab, start, length))),
  );
  const lengths = pieces.map((piece) => piece.reduce((sum, part) => sum + part.length, 0));
  const sealed = new Uint8Array(lengths.reduce((sum, length) => sum + length, 0));
  let at = 0;
  for (const part of pieces.flat()) {
    sealed.set(part, at);
    at += part.length;
  }
  return { sealed, lengths };
}

/** Memory of its own, which may be handed to another thread. */
function owned(bytes: Buffer<ArrayBufferLike>): Uint8Array<ArrayBuffer> {
  const whole = bytes.buffer;
  if (whole instanceof ArrayBuffer && bytes.byteOffset === 0 && whole.byteLength <= bytes.length + 64)
    return new Uint8Array(whole, 0, bytes.length);
  return Uint8Array.from(bytes);
}

function openOne(task: OpenTask, chunk: OpenTask["chunks"][number]): Uint8Array<ArrayBuffer> | string {
  const sealed = task.bytes.subarray(chunk.start, chunk.start + chunk.length);
  if (sealed.length < chunk.length) return "it is cut short";
  const packed = aead.open(task.key, chunk.position, packPieceAad(task.header, chunk.position), sealed);
  if (packed === undefined) return "its bytes are not those that were sealed";
  const plain = unpack(packed, LONGEST);
  if (typeof plain === "string") return plain;
  if (!timingSafeEqual(nameOf(plain, task.epoch, chunk.type), chunk.name))
    return "its content is not what its name says";
  return owned(plain);
}

function open(task: OpenTask): OpenResult {
  return { chunks: task.chunks.map((chunk) => openOne(task, chunk)) };
}

function perform(task: Task): ResultOf<Task> {
  if (task.task === "cut") return cut(task);
  if (task.task === "name") return name(task);
  if (task.task === "seal") return seal(task);
  return open(task);
}

function handedOver(result: ResultOf<Task>): ArrayBuffer[] {
  if ("sealed" in result) return [result.sealed.buffer];
  if ("chunks" in result)
    return [...new Set(result.chunks.flatMap((chunk) => (typeof chunk === "string" ? [] : [chunk.buffer])))];
  return [];
}

parentPort?.on("message", ({ id, task }: Request) => {
  const before = process.threadCpuUsage();
  const cpuMs = () => {
    const { user, system } = process.threadCpuUsage(before);
    return (user + system) / 1000;
  };
  let reply: Reply;
  let transfer: ArrayBuffer[] = [];
  try {
    const result = perform(task);
    transfer = handedOver(result);
    reply = { id, result, cpuMs: cpuMs() };
  } catch (error) {
    reply = { id, failed: error instanceof Error ? (error.stack ?? error.message) : String(error), cpuMs: cpuMs() };
  }
  parentPort?.postMessage(reply, transfer);
});
