import { runBackup } from "@stillpoint/contracts/commands";
import { planAccepted } from "@stillpoint/contracts/events";
import { queryRun } from "@stillpoint/contracts/queries";
import { expect, test } from "vitest";
import type { Bus } from "../src/bus.ts";

/** Never called: what does not compile here would not compile in a service. */
export async function misuse(bus: Bus): Promise<void> {
  const body = { plan: "shop", revision: "b".repeat(64), at: "2026-01-02T03:04:05.006Z" };
  await bus.publishEvent(planAccepted, { plan: "shop" }, body);
  // @ts-expect-error a parameter of the subject is missing
  await bus.publishEvent(planAccepted, {}, body);
  // @ts-expect-error a field of the body is missing
  await bus.publishEvent(planAccepted, { plan: "shop" }, { plan: "shop" });
  // @ts-expect-error an event is not a command
  await bus.publishCommand(planAccepted, { plan: "shop" }, body, { messageId: "x" });
  await bus.takeCommands(runBackup, { concurrency: 1 }, async (taken) => {
    const plan: string = taken.parameters.plan;
    // @ts-expect-error the subject has no such parameter
    return plan === taken.parameters.source ? taken.delay(1) : undefined;
  });
  const { run } = await bus.request(queryRun, {}, { runId: "x" }, { timeoutMs: 1 });
  // @ts-expect-error a reply is typed too
  run.pointIdd satisfies string;
}

test("the wrong parameters and bodies above do not compile", () => {
  expect(misuse).toBeTypeOf("function");
});
