import { parentPort } from "node:worker_threads";
import type { AttributeAnswer, AttributeRequest } from "./set-attributes.ts";
import { openSystemCalls } from "./system-calls.ts";

const calls = openSystemCalls();

parentPort?.on("message", ({ target, xattrs }: AttributeRequest) => {
  const refused = Object.entries(xattrs)
    .filter(([name, value]) => calls === undefined || calls.setAttribute(target, name, Buffer.from(value)) !== 0)
    .map(([name]) => name);
  parentPort?.postMessage({ refused } satisfies AttributeAnswer);
});
