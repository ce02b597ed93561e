import { defineAgent } from "@stillpoint/agent/define-agent";
import { qdrantDriver } from "@stillpoint/driver-qdrant/qdrant-driver";

export const service = defineAgent(qdrantDriver);
