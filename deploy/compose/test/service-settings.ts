import { readdirSync } from "node:fs";
import { agentSettings } from "@stillpoint/agent/settings";
import { alertingConfig } from "@stillpoint/alerting/config";
import { catalogConfig } from "@stillpoint/catalog/config";
import { installationSettings } from "@stillpoint/contracts/settings";
import { gatewayConfig } from "@stillpoint/gateway/config";
import { orchestratorConfig } from "@stillpoint/orchestrator/config";
import { schedulerConfig } from "@stillpoint/scheduler/config";
import { validatorConfig } from "@stillpoint/validator/config";
import { vaultConfig } from "@stillpoint/vault/config";
import { z } from "zod";

export const root = new URL("../../../", import.meta.url);

/** What each service reads from its environment, without what all of them read. */
const OWN = new Map<string, z.ZodObject>([
  ["gateway", gatewayConfig],
  ["scheduler", schedulerConfig],
  ["orchestrator", orchestratorConfig],
  ["vault", vaultConfig],
  ["catalog", catalogConfig],
  ["validator", validatorConfig],
  ["alerting", alertingConfig],
]);

export const services = readdirSync(new URL("services", root)).sort();

/** Schemas by the heading under which docs/guide/settings.md has them. */
export const settingsByHeading = new Map<string, z.ZodObject>([
  ["every process", installationSettings],
  ...OWN,
  ["agents", agentSettings],
]);

export function ownSettings(service: string): z.ZodObject {
  const found = service.startsWith("agent-") ? agentSettings : OWN.get(service);
  if (found === undefined) throw new Error(`no settings are known of services/${service}`);
  return found;
}

export type Setting = { name: string; default: string; isRequired: boolean };

/** A schema's settings as a person writes them: before anything is parsed or transformed. */
export function settingsOf(schema: z.ZodObject): Setting[] {
  const written = z
    .object({
      properties: z.record(z.string(), z.object({ default: z.unknown().optional() })),
      required: z.array(z.string()).default([]),
    })
    .parse(z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }));
  return Object.entries(written.properties).map(([name, { default: value }]) => ({
    name,
    default: shown(value ?? schema.shape[name]?.safeParse(undefined).data),
    isRequired: written.required.includes(name),
  }));
}

function shown(value: unknown): string {
  return value === undefined ? "" : String(value);
}
