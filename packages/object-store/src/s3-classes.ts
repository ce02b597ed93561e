import {
  CopyObjectCommand,
  HeadObjectCommand,
  RestoreObjectCommand,
  type StorageClass as S3Class,
  type S3Client,
} from "@aws-sdk/client-s3";
import type { ObjectClasses, StorageClass, ThawState } from "./object-classes.ts";
import { objectMissing, storeUnsupported } from "./object-errors.ts";
import { fromS3, statusOf } from "./s3-errors.ts";
import type { S3Place } from "./s3-place.ts";

const HOUR_MS = 3_600_000;
const NAMES = {
  standard: "STANDARD",
  infrequent: "STANDARD_IA",
  archive: "GLACIER",
  "deep-archive": "DEEP_ARCHIVE",
} as const;
/** Thaws of the tier `Standard`, at most. */
const THAW_MS = { standard: 0, infrequent: 0, archive: 5 * HOUR_MS, "deep-archive": 12 * HOUR_MS };

export function s3ClassName(storageClass: StorageClass): S3Class {
  return NAMES[storageClass];
}

/** Servers say nothing for their standard class. What is read at once, whatever it is called, is no archive. */
export function storageClassOfS3(name: string | undefined): StorageClass {
  if (name === "GLACIER") return "archive";
  if (name === "DEEP_ARCHIVE") return "deep-archive";
  return name === undefined || !/_IA$|^GLACIER_IR$/.test(name) ? "standard" : "infrequent";
}

/** S3's storage classes. `locked` tells of a bucket with object lock, where a copy would leave the locked one beside it. */
export function s3Classes(
  s3: S3Client,
  place: S3Place,
  locked: (signal?: AbortSignal) => Promise<boolean>,
): ObjectClasses {
  const { Bucket, keyOf, where } = place;

  async function facts(name: string, signal?: AbortSignal): Promise<{ storageClass: StorageClass; state: ThawState }> {
    try {
      const command = new HeadObjectCommand({ Bucket, Key: keyOf(name) });
      const { StorageClass: given, Restore } = await s3.send(command, signal && { abortSignal: signal });
      const storageClass = storageClassOfS3(given);
      if (THAW_MS[storageClass] === 0) return { storageClass, state: "readable" };
      // `ongoing-request="true"`, or "false" with the date until when the copy can be read.
      if (Restore === undefined) return { storageClass, state: "cold" };
      return { storageClass, state: Restore.includes('ongoing-request="true"') ? "thawing" : "readable" };
    } catch (error) {
      throw statusOf(error) === 404 ? objectMissing(name) : fromS3(error, "Cannot look at an object", where(name));
    }
  }

  return {
    async move(name, storageClass, signal) {
      if ((await facts(name, signal)).storageClass === storageClass) return;
      if (await locked(signal))
        throw storeUnsupported(where(name), "the bucket has object lock", "use a lifecycle rule of the bucket");
      const Key = keyOf(name);
      const CopySource = `${Bucket}/${Key.split("/").map(encodeURIComponent).join("/")}`;
      const StorageClass = s3ClassName(storageClass);
      try {
        const command = new CopyObjectCommand({ Bucket, Key, CopySource, StorageClass, MetadataDirective: "COPY" });
        await s3.send(command, signal && { abortSignal: signal });
      } catch (error) {
        if (error instanceof Error && error.name === "InvalidStorageClass")
          throw storeUnsupported(where(name), `the server has no class ${StorageClass}`);
        throw fromS3(error, "Cannot move an object to another storage class", where(name));
      }
    },
    async thaw(name, keepDays, signal) {
      if ((await facts(name, signal)).state !== "cold") return;
      const RestoreRequest = { Days: keepDays, GlacierJobParameters: { Tier: "Standard" as const } };
      try {
        const command = new RestoreObjectCommand({ Bucket, Key: keyOf(name), RestoreRequest });
        await s3.send(command, signal && { abortSignal: signal });
      } catch (error) {
        // Somebody else asked in between.
        if (error instanceof Error && error.name === "RestoreAlreadyInProgress") return;
        throw fromS3(error, "Cannot ask for the thaw of an object", where(name));
      }
    },
    thawState: async (name, signal) => (await facts(name, signal)).state,
    thawTakesMs: (storageClass) => THAW_MS[storageClass],
  };
}
