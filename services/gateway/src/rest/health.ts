import { toStillpointError } from "@stillpoint/contracts/errors";
import { queryPoints } from "@stillpoint/contracts/queries";
import { health } from "@stillpoint/contracts/rest";
import { vaultStatus } from "@stillpoint/contracts/vault";
import type { Routes } from "./app.ts";
import type { RestPorts } from "./ports.ts";
import { PROBLEMS } from "./problems.ts";

const ASKED = { timeoutMs: 2_000 };

export function healthRoutes(routes: Routes, { bus, buckets, planFile }: RestPorts): void {
  routes.get(
    "/health",
    { schema: { tags: ["health"], summary: "Whether the parts answer", response: { 200: health, ...PROBLEMS } } },
    async () => {
      const nats = { ok: bus.isConnected() };
      const [vault, catalog, plans] = await Promise.all([
        answers(bus.request(vaultStatus, {}, {}, ASKED)),
        answers(bus.request(queryPoints, {}, { limit: 1 }, ASKED)),
        nats.ok ? buckets.plans.keys() : [],
      ]);
      const file = planFile();
      const isOk = nats.ok && vault.ok && catalog.ok && file?.state !== "rejected";
      return {
        status: isOk ? ("ok" as const) : ("degraded" as const),
        nats,
        vault,
        catalog,
        plans,
        ...(file === undefined ? {} : { planFile: file }),
      };
    },
  );
}

async function answers(asked: Promise<unknown>) {
  try {
    await asked;
    return { ok: true };
  } catch (error) {
    return { ok: false, error: toStillpointError(error, "It does not answer").toBody() };
  }
}
