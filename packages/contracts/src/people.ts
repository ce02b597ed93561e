import { z } from "zod";
import { defineCommand, defineRequest } from "./messages.ts";
import { name, uuid } from "./names.ts";

/** What a person asks for, by NATS or REST; `submit.<verb>` takes the same body and is kept until a gateway takes it. */
export const backupRequest = z.strictObject({ plan: name });
export const validateRequest = z.strictObject({ pointId: uuid });
export const cancelRequest = z.strictObject({ runId: uuid });

const accepted = z.object({ runId: uuid });

export const requestBackup = defineRequest("request.backup", backupRequest, accepted);
export const requestValidate = defineRequest("request.validate", validateRequest, z.object({ proofId: uuid }));
export const requestCancel = defineRequest("request.cancel", cancelRequest, accepted);

export const submitBackup = defineCommand("submit.backup", backupRequest);
export const submitValidate = defineCommand("submit.validate", validateRequest);
export const submitCancel = defineCommand("submit.cancel", cancelRequest);
