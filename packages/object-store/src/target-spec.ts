import { byteSize } from "@stillpoint/contracts/byte-size";
import { duration } from "@stillpoint/contracts/duration";
import { name } from "@stillpoint/contracts/names";
import { secretReference } from "@stillpoint/contracts/secret";
import { z } from "zod";
import { WEEKDAYS } from "./bandwidth-schedule.ts";
import { STORAGE_CLASSES } from "./object-classes.ts";
import { parseStoreUrl } from "./store-url.ts";

const path = z.string().startsWith("/", "must be an absolute path");

const timeOfDay = z
  .string()
  .regex(/^([01]\d|2[0-3]):[0-5]\d$|^24:00$/, "must be a time of day: 08:00")
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)));

function isTimeZone(text: string): boolean {
  try {
    new Intl.DateTimeFormat("en", { timeZone: text });
    return true;
  } catch {
    // What the runtime does not know, it refuses.
    return false;
  }
}

const window = z.strictObject({
  days: z
    .array(z.enum(WEEKDAYS))
    .min(1)
    .default([...WEEKDAYS]),
  from: timeOfDay,
  to: timeOfDay,
  limit: byteSize,
});
/** A second's bytes at all times, or with windows. */
const rate = z.union([byteSize, z.strictObject({ limit: byteSize.optional(), windows: z.array(window).min(1) })], {
  error: "must be a size per second (20 MB), or { limit, windows: [{ days, from, to, limit }] }",
});
const bandwidth = z.strictObject({
  timeZone: z.string().refine(isTimeZone, "must be a time zone: Europe/Berlin").default("UTC"),
  upload: rate.optional(),
  download: rate.optional(),
});

const credentials = z.union(
  [
    z.strictObject({
      accessKeyId: secretReference,
      secretAccessKey: secretReference,
      sessionToken: secretReference.optional(),
    }),
    z.strictObject({ account: z.string().min(1), accountKey: secretReference }),
    z.strictObject({ account: z.string().min(1), sasToken: secretReference }),
    z.strictObject({ keyFile: path }),
  ],
  {
    error:
      "must be { accessKeyId, secretAccessKey } for s3, { account, accountKey } or { account, sasToken } for azure, { keyFile } for gs; keys as ${env:NAME} or ${file:/path}",
  },
);
type Credentials = z.infer<typeof credentials>;

function credentialsFor(given: Credentials): "s3" | "azure" | "gcs" {
  if ("accessKeyId" in given) return "s3";
  return "account" in given ? "azure" : "gcs";
}

const byAge = z.strictObject({ after: duration, class: z.enum(STORAGE_CLASSES) });

/** How the repository compresses what it writes to this target as its primary. */
export const COMPRESSIONS = ["off", "fast", "default", "max"] as const;

/** One target as its file has it. */
export const targetSpec = z
  .strictObject({
    url: z.string().min(1),
    endpoint: z
      .url({ protocol: /^https?$/, error: "must be https://host" })
      .refine((url) => !url.includes("@"), "must be https://host, without credentials")
      .optional(),
    credentials: credentials.optional(),
    proxy: z
      .union([z.url({ protocol: /^http$/ }).refine((url) => !url.includes("@")), secretReference], {
        error: "must be http://host:port; with a password as ${env:NAME} or ${file:/path} of the whole URL",
      })
      .optional(),
    ca: path.optional(),
    clientCertificate: z.strictObject({ certificate: path, key: secretReference }).optional(),
    connections: z.int().min(1).max(1_000).optional(),
    bandwidth: bandwidth.optional(),
    storageClasses: z.array(byAge).default([]),
    lockDays: z.int().min(1).max(36_500).optional(),
    lockMode: z.enum(["compliance", "governance"]).default("compliance"),
    compression: z.enum(COMPRESSIONS).default("default"),
    cache: z.strictObject({ directory: path, size: byteSize }).optional(),
  })
  .superRefine((target, context) => {
    const refuse = (field: string, message: string) =>
      context.addIssue({ code: "custom", path: [field], message, input: target });
    let kind: string;
    try {
      ({ kind } = parseStoreUrl(target.url));
    } catch (error) {
      return refuse("url", error instanceof Error ? error.message : String(error));
    }
    if (target.credentials !== undefined && credentialsFor(target.credentials) !== kind)
      refuse("credentials", "are not for this kind of URL");
    const ages = target.storageClasses.map(({ after }) => after);
    if (ages.some((age, at) => at > 0 && age <= (ages[at - 1] ?? 0)))
      refuse("storageClasses", "must be in the order of age");
    // The others know only locks that nobody can end: what was meant for a trial would stay for good.
    if (target.lockMode === "governance" && kind !== "s3") refuse("lockMode", "only s3 has governance");
    if (kind !== "directory") return;
    // Every process that reads the file would take another directory for it.
    if (!/^(\/|file:)/.test(target.url)) refuse("url", "must be an absolute path");
    if (target.lockDays !== undefined) refuse("lockDays", "a directory has no object lock");
    if (target.storageClasses.length > 0) refuse("storageClasses", "a directory has no storage classes");
    for (const field of ["endpoint", "proxy", "ca", "clientCertificate", "connections"] as const)
      if (target[field] !== undefined) refuse(field, "a directory is not reached by a network");
  });
export type TargetSpec = z.output<typeof targetSpec>;

/** A whole targets file. */
export const targetsSpec = z
  .strictObject({ primary: targetSpec, replicas: z.record(z.string(), targetSpec).default({}) })
  .superRefine(({ replicas }, context) => {
    for (const given of Object.keys(replicas)) {
      const why =
        given === "primary" ? "a replica cannot be called primary" : name.safeParse(given).error?.issues[0]?.message;
      if (why !== undefined)
        context.addIssue({ code: "custom", path: ["replicas", given], message: why, input: given });
    }
  });
export type TargetsSpec = z.output<typeof targetsSpec>;
