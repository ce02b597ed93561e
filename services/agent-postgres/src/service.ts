import { defineAgent } from "@stillpoint/agent/define-agent";
import { postgresDriver } from "@stillpoint/driver-postgres/postgres-driver";

export const service = defineAgent(postgresDriver);
