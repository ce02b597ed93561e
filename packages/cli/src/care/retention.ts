import { readFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { StillpointError } from "@stillpoint/contracts/errors";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { vaultApplyRetention, vaultPlanRetention } from "@stillpoint/contracts/vault";
import { z } from "zod";
import { table } from "../figures.ts";
import { type GuestBus, reachBus } from "../reach.ts";
import { stillAlive } from "../still-alive.ts";
import type { World } from "../world.ts";
import { writePlanFile } from "../write-plan-file.ts";

/** Every point of a plan is looked at. */
const PATIENCE = { timeoutMs: 300_000 };

const planned = vaultPlanRetention.reply;
const planFile = z.object({ retention: z.array(planned) });

async function namedOrAll(bus: GuestBus, plan: string | undefined): Promise<string[]> {
  if (plan !== undefined) return [plan];
  return (await bus.bucket(BUCKETS.plans)).keys();
}

export async function planRetention(
  world: World,
  options: { plan?: string; out?: string; json?: boolean },
): Promise<void> {
  await using bus = await reachBus(world);
  const retention: z.output<typeof planned>[] = [];
  for (const plan of await namedOrAll(bus, options.plan))
    retention.push(
      await stillAlive(world, `looking at the points of ${plan}`, () =>
        bus.request(vaultPlanRetention, {}, { plan }, PATIENCE),
      ),
    );
  const text = `${JSON.stringify({ retention }, undefined, 2)}\n`;
  if (options.out !== undefined) await writePlanFile(options.out, text);
  world.out(options.json ? text : retention.map(describe).join("\n"));
}

function describe(each: z.output<typeof planned>): string {
  const rows = [
    ...each.keep.map((point) => ({ ...point, word: "keep" })),
    ...each.go.map((point) => ({ ...point, word: "go" })),
  ]
    .sort((a, b) => (a.cutAt < b.cutAt ? 1 : -1))
    .map(({ word, cutAt, pointId, partial, reasons }) => [
      word,
      cutAt,
      pointId,
      `${partial ? "PARTIAL; " : ""}${reasons.map(({ text }) => text).join("; ")}`,
    ]);
  const left = each.keepCount + each.goCount - rows.length;
  const more = left > 0 ? `and ${left} more\n` : "";
  const backups = `${each.freed} backups go with them, ${each.stillNeeded} stay, for others rest on them`;
  return `${each.plan}, ${each.policy}: ${each.keepCount} points stay, ${each.goCount} go; ${backups}\n${table(["", "cut", "point", "why"], rows)}\n${more}`;
}

/** Who a person is, for the record of what they did. */
function whoAmI(): string {
  return `person ${userInfo().username}`;
}

export async function applyRetention(world: World, file: string, options: { json?: boolean }): Promise<void> {
  let retention: z.output<typeof planned>[];
  try {
    ({ retention } = planFile.parse(JSON.parse(await readFile(file, "utf8"))));
  } catch (error) {
    throw new StillpointError("INVALID_REQUEST", {
      what: "Cannot read the retention plan",
      where: file,
      why: error instanceof Error ? error.message : String(error),
      hint: "make one: stillpoint retention plan --out retention.json",
      cause: error,
    });
  }
  await using bus = await reachBus(world);
  const done: { plan: string; deleted: string[] }[] = [];
  for (const { plan, policySha256, go } of retention) {
    const asked = { plan, policySha256, go: go.map(({ pointId }) => ({ pointId })), by: whoAmI() };
    const { deleted } = await stillAlive(world, `deleting points of ${plan}`, () =>
      bus.request(vaultApplyRetention, {}, asked, PATIENCE),
    );
    done.push({ plan, deleted });
  }
  if (options.json) return world.out(`${JSON.stringify(done, undefined, 2)}\n`);
  for (const { plan, deleted } of done)
    world.out(`${plan}: ${deleted.length} points deleted; what only they needed is freed by the collector\n`);
}
