import { defineAgent } from "@stillpoint/agent/define-agent";
import { filesDriver } from "@stillpoint/driver-files/files-driver";

export const service = defineAgent(filesDriver);
