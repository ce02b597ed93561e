import { createHash } from "node:crypto";
import { below, fraction, pick, type Random, randomOf } from "./random.ts";

/** What one logical write puts into the stores. Everything follows from the seed, the sequence number and the id. */
export type Content = {
  id: string;
  seq: number;
  title: string;
  body: string;
  /** Of the entity in the graph. */
  summary: string;
  kind: string;
  embedding: number[];
  session: string;
  upload: string;
};

export const DIMENSIONS = 512;
const BODY_BYTES = 8_600;
const SUMMARY_BYTES = 2_800;
const SESSION_BYTES = 1_750;
const UPLOAD_BYTES = 1_800;
/** Of the text, this part is random and does not compress, as keys, hashes and attachments in real documents. */
const RANDOM_PART = 0.2;

const KINDS = ["Person", "Company", "Place", "Product", "Topic"] as const;
const WORDS = (
  "the of and to in a is that for it was on are as with his they at be this from have or by one had not but what all " +
  "were when we there can an your which their said if do will each about how up out them then she many some so these " +
  "would other into has more her two like him see time could no make than first been its who now people my made over " +
  "did down only way find use may water long little very after words called just where most know recovery graph store " +
  "vector document customer invoice contract shipment order report meeting budget engine service region archive policy"
).split(" ") as [string, ...string[]];

export function idOf(seed: string, seq: number): string {
  const hex = createHash("sha256").update(`${seed}\nid\n${seq}`).digest("hex");
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-8${hex.slice(13, 16)}-8${hex.slice(17, 20)}-${hex.slice(20, 32)}`;
}

/** Makes contents of one seed. Sentences come from a pool made once, so that a store is filled at disk speed. */
export function contentsOf(seed: string): (seq: number, id: string) => Content {
  const pool = sentences(randomOf(seed, "sentences"));
  const centres = Array.from({ length: 32 }, (_, at) => vector(randomOf(seed, "centre", at)));
  return (seq, id) => {
    const random = randomOf(seed, seq);
    const centre = pick(random, centres as [number[], ...number[][]]); // 32 of them
    const title = `Document ${seq}: ${pick(random, pool)}`;
    return {
      id,
      seq,
      title,
      body: text(random, pool, BODY_BYTES),
      summary: text(random, pool, SUMMARY_BYTES),
      kind: pick(random, KINDS),
      embedding: centre.map((value) => round(value + (fraction(random) - 0.5) * 0.6)),
      session: JSON.stringify({ user: below(random, 5_000), seq, trail: text(random, pool, SESSION_BYTES) }),
      upload: text(random, pool, UPLOAD_BYTES),
    };
  };
}

function sentences(random: Random): [string, ...string[]] {
  const sentence = () => {
    const words = Array.from({ length: 6 + below(random, 14) }, () => pick(random, WORDS)).join(" ");
    return `${words.charAt(0).toUpperCase()}${words.slice(1)}.`;
  };
  return [sentence(), ...Array.from({ length: 4_095 }, sentence)];
}

function text(random: Random, pool: readonly [string, ...string[]], bytes: number): string {
  const parts: string[] = [];
  let length = 0;
  while (length < bytes) {
    const part = fraction(random) < RANDOM_PART ? noise(random) : pick(random, pool);
    parts.push(part);
    length += part.length + 1;
  }
  return parts.join(" ").slice(0, bytes);
}

/** As long as a sentence, so that the random part of the pieces is the random part of the bytes. */
function noise(random: Random): string {
  const bytes = Buffer.allocUnsafe(48);
  for (let at = 0; at < bytes.length; at += 4) bytes.writeUInt32LE(random(), at);
  return bytes.toString("base64");
}

function vector(random: Random): number[] {
  return Array.from({ length: DIMENSIONS }, () => fraction(random) * 2 - 1);
}

/** Four digits: enough for neighbours, and half the bytes on the way to the server. */
function round(value: number): number {
  return Math.round(value * 10_000) / 10_000;
}
