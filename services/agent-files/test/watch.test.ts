import { appendFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { sourceChanged } from "@stillpoint/contracts/events";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { temporaryDirectory } from "@stillpoint/testkit/temporary-directory";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { expect, test } from "vitest";
import { service } from "../src/service.ts";

test("a watched source's changes are told as they happen, from the plan's acceptance until it is changed", async () => {
  await using nats = await ownNats();
  await using bus = await testBus(nats);
  await using directory = await temporaryDirectory("agent-files");
  const [a, b] = [join(directory.path, "a"), join(directory.path, "b")];
  for (const path of [a, b]) await writeFile(path, "x");
  const told: string[] = [];
  await using _hearing = await bus.hearSignals(sourceChanged, {}, ({ body }) => {
    told.push(`${body.plan} ${body.source} ${body.by}`);
  });
  const plans = await bus.bucket(BUCKETS.plans);
  const accept = (sources: Record<string, unknown>) =>
    plans.put("shop", {
      plan: "shop",
      revision: "a".repeat(64),
      definition: { sources, schedule: [] } as never, // as a plan file has it; the bucket parses it
      acceptedAt: new Date().toISOString(),
    });
  const watch = { every: "1s", rescan: "1h" };
  const watched = { kind: "files", paths: [directory.path], watch };
  await accept({ config: watched, elsewhere: { ...watched, at: "moon" }, still: { kind: "files", paths: [a] } });
  const work = join(directory.path, "..", `${directory.path}-work`);
  await using _agent = await inProcessService(service, nats, { STILLPOINT_WORK_DIRECTORY: work });
  await waitFor("the watch begins", () => told.includes("shop config start"));
  await appendFile(a, "more");
  await waitFor("the change is told", () => told.includes("shop config event"));
  expect(told.filter((each) => !each.startsWith("shop config "))).toEqual([]);

  // From now on under another name: what was watched is not any more.
  await accept({ uploads: watched });
  await waitFor("the watch begins anew", () => told.includes("shop uploads start"));
  const before = told.length;
  await appendFile(b, "more");
  await waitFor("the change is told", () => told.includes("shop uploads event"));
  expect(new Set(told.slice(before))).toEqual(new Set(["shop uploads event"]));
});
