import { defineAgent } from "@stillpoint/agent/define-agent";
import { sqliteDriver } from "@stillpoint/driver-sqlite/sqlite-driver";

export const service = defineAgent(sqliteDriver);
