import { randomBytes } from "node:crypto";
import { open } from "node:fs/promises";
import { join } from "node:path";
import { makeSmallFiles, makeTextAndVectors } from "@stillpoint/repository/bench/mixed-set";
import { peersHere } from "@stillpoint/repository/bench/peers";
import type { NativeTool, StartCaptured } from "./captured-store.ts";
import { runTool, versionOf } from "./tool-on-path.ts";

const SMALL_FILES = 10_000;
const CHANGED_FILES = 100;
const CHANGED_BYTES = 1_000;

/** Text, vectors and many small files. */
export const startCapturedFiles: StartCaptured = async ({ directory, megabytes }) => {
  const root = join(directory, "tree");
  await makeTextAndVectors(join(root, "large"), megabytes);
  const small = await makeSmallFiles(join(root, "small"), SMALL_FILES);
  let turn = 0;
  let copies = 0;
  return {
    name: "files",
    source: { kind: "files", paths: [root] },
    environment: {},
    async change() {
      for (const { path } of small.slice(turn * CHANGED_FILES, (turn + 1) * CHANGED_FILES)) {
        await using file = await open(join(root, "small", path), "r+");
        await file.write(randomBytes(CHANGED_BYTES), 0, CHANGED_BYTES, 0);
      }
      turn += 1;
    },
    tools: [
      {
        name: "tar",
        full: async (at) => void (await runTool("tar", ["-cf", join(at, `copy-${++copies}.tar`), "-C", root, "."])),
      },
      ...(await rsync(root)),
      ...(await otherTools(root)),
    ],
    [Symbol.asyncDispose]: async () => undefined,
  };
};

async function rsync(root: string): Promise<NativeTool[]> {
  const version = await versionOf("rsync");
  if (version === undefined) return [];
  const copy = async (at: string) => void (await runTool("rsync", ["-a", `${root}/`, join(at, "copy")]));
  return [{ name: `rsync ${version}`, full: copy, again: copy }];
}

async function otherTools(root: string): Promise<NativeTool[]> {
  return (await peersHere()).map((peer) => {
    const place = (at: string) => ({ repository: join(at, "repository"), cache: join(at, "cache") });
    return {
      name: peer.name,
      async full(at) {
        await peer.init(place(at));
        await peer.backup(place(at), root);
      },
      again: async (at) => void (await peer.backup(place(at), root)),
    };
  });
}
