import type { TestProject } from "vitest/node";
import { serveSharedServers } from "./shared-servers.ts";

/** What vitest calls before the first test file; the answer is called after the last, whatever became of them. */
export default async function startSharedServers(project: TestProject): Promise<() => Promise<void>> {
  const shared = await serveSharedServers();
  project.provide("sharedServers", shared.url);
  return async () => shared[Symbol.asyncDispose]();
}
