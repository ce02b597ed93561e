import { z } from "zod";

const id = z.number().int().nonnegative();
const path = z.string().min(1);

export const hidePlan = z.object({
  /** Directories that an empty file system is mounted over, and what stays visible below each. */
  directories: z.array(z.object({ path, mode: z.string(), visible: z.array(path) })),
  /** Sockets elsewhere, each covered by itself. */
  sockets: z.array(path),
});
export type HidePlan = z.infer<typeof hidePlan>;

/** What the process that owns a sandbox asks of the one inside. Every request is answered under its id. */
export const isolationRequest = z.discriminatedUnion("do", [
  /** Once, first: the loopback device up, sockets hidden. */
  z.object({ do: z.literal("prepare"), id, loopback: z.boolean(), hide: hidePlan.optional() }),
  z.object({
    do: z.literal("spawn"),
    id,
    command: z.string().min(1),
    args: z.array(z.string()),
    env: z.record(z.string(), z.string()),
    cwd: path,
    account: z.object({ uid: id, gid: id }).optional(),
    /** File that takes its standard output and errors. */
    output: path,
    /** Dies with the process inside; needed where no process namespace sees to it. */
    guarded: z.boolean(),
  }),
  z.object({ do: z.literal("kill"), id, process: id, signal: z.string() }),
  z.object({
    do: z.literal("forward"),
    id,
    socket: path,
    port: z.number().int(),
    account: z.object({ uid: id, gid: id }).optional(),
  }),
  z.object({ do: z.literal("probe"), id, addresses: z.array(z.string()), timeoutMs: z.number().positive() }),
  z.object({ do: z.literal("end"), id }),
]);
export type IsolationRequest = z.infer<typeof isolationRequest>;

export const egressResult = z.object({ address: z.string(), reached: z.boolean(), detail: z.string() });

export const isolationReply = z.discriminatedUnion("is", [
  z.object({ is: z.literal("done"), id, results: z.array(egressResult).default([]) }),
  z.object({ is: z.literal("failed"), id, why: z.string() }),
  /** Unasked, under the id of the spawn: a process is gone. */
  z.object({ is: z.literal("exited"), id, code: z.number().nullable(), signal: z.string().nullable() }),
]);
export type IsolationReply = z.infer<typeof isolationReply>;
