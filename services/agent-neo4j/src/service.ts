import { defineAgent } from "@stillpoint/agent/define-agent";
import { neo4jDriver } from "@stillpoint/driver-neo4j/neo4j-driver";

export const service = defineAgent(neo4jDriver);
