import {
  DeleteObjectCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  PutObjectLegalHoldCommand,
  PutObjectRetentionCommand,
  type S3Client,
} from "@aws-sdk/client-s3";
import { objectMissing, objectRetained } from "./object-errors.ts";
import type { LockState, ObjectLocks } from "./object-locks.ts";
import { fromS3, statusOf } from "./s3-errors.ts";
import type { S3Place } from "./s3-place.ts";

/** COMPLIANCE: nobody can shorten it. GOVERNANCE: who has the right to can, for trials. */
export type S3LockMode = "COMPLIANCE" | "GOVERNANCE";

type S3Locks = ObjectLocks & {
  /** Not only where it is known to: credentials that may not ask do not make a plain delete a true one. */
  mayLock(signal?: AbortSignal): Promise<boolean>;
  /** Deletes what is stored itself: a plain delete would only hide it behind a marker, locked or not. */
  deleteVersions(name: string, signal?: AbortSignal): Promise<void>;
};

export function s3Locks(s3: S3Client, place: S3Place, mode: S3LockMode): S3Locks {
  const { Bucket, keyOf, where } = place;
  const abort = (signal: AbortSignal | undefined) => (signal === undefined ? {} : { abortSignal: signal });

  async function asked<Result>(name: string, call: () => Promise<Result>): Promise<Result> {
    try {
      return await call();
    } catch (error) {
      throw statusOf(error) === 404 ? objectMissing(name) : fromS3(error, "Cannot lock an object", where(name));
    }
  }
  const look = (name: string, signal?: AbortSignal) =>
    s3.send(new HeadObjectCommand({ Bucket, Key: keyOf(name) }), abort(signal));

  const state = (name: string, signal?: AbortSignal): Promise<LockState> =>
    asked(name, async () => {
      const { ObjectLockRetainUntilDate: until, ObjectLockLegalHoldStatus } = await look(name, signal);
      const legalHold = ObjectLockLegalHoldStatus === "ON";
      return until === undefined ? { legalHold } : { retainedUntilMs: until.getTime(), legalHold };
    });

  let asking: Promise<"on" | "off" | "unknown"> | undefined;
  async function ask(signal?: AbortSignal): Promise<"on" | "off" | "unknown"> {
    try {
      const answer = await s3.send(new GetObjectLockConfigurationCommand({ Bucket }), abort(signal));
      return answer.ObjectLockConfiguration?.ObjectLockEnabled === "Enabled" ? "on" : "off";
    } catch (error) {
      const status = statusOf(error);
      if (error instanceof Error && error.name === "NoSuchBucket")
        throw fromS3(error, "Cannot look at the bucket", where(""));
      if (status === 401 || status === 403) return "unknown";
      // There is none, or the server does not know of such things.
      if (status !== undefined && status !== 429 && (status < 500 || status === 501)) return "off";
      throw fromS3(error, "Cannot look at the bucket's object lock", where(""));
    }
  }
  /** A bucket gets object lock when it is made, so that it is asked once. */
  function enabled(signal?: AbortSignal): Promise<"on" | "off" | "unknown"> {
    asking ??= ask(signal).catch((error: unknown) => {
      asking = undefined;
      throw error;
    });
    return asking;
  }

  return {
    available: async (signal) => (await enabled(signal)) === "on",
    mayLock: async (signal) => (await enabled(signal)) !== "off",
    state,
    async extend(name, untilMs, signal) {
      const { retainedUntilMs = 0 } = await state(name, signal);
      if (untilMs <= retainedUntilMs) return;
      // Whole seconds are all that S3 keeps: rounded down it would be shorter than was asked.
      const Retention = { Mode: mode, RetainUntilDate: new Date(Math.ceil(untilMs / 1000) * 1000) };
      await asked(name, () =>
        s3.send(new PutObjectRetentionCommand({ Bucket, Key: keyOf(name), Retention }), abort(signal)),
      );
    },
    async setLegalHold(name, held, signal) {
      const LegalHold = { Status: held ? "ON" : "OFF" } as const;
      await asked(name, () =>
        s3.send(new PutObjectLegalHoldCommand({ Bucket, Key: keyOf(name), LegalHold }), abort(signal)),
      );
    },
    async deleteVersions(name, signal) {
      const what = "Cannot delete an object";
      // An object is written once; a put that was sent twice may have left two versions.
      for (;;) {
        const found = await look(name, signal).catch((error: unknown) => {
          if (statusOf(error) !== 404) throw fromS3(error, what, where(name));
        });
        if (found === undefined) return;
        try {
          const VersionId = found.VersionId;
          await s3.send(new DeleteObjectCommand({ Bucket, Key: keyOf(name), VersionId }), abort(signal));
        } catch (error) {
          const until = found.ObjectLockRetainUntilDate?.toISOString();
          const isHeld = found.ObjectLockLegalHoldStatus === "ON";
          // Some servers call the deletion of what is locked a bad request.
          const isRefusal = statusOf(error) === 403 || (statusOf(error) === 400 && (isHeld || until !== undefined));
          if (!isRefusal) throw fromS3(error, what, where(name));
          const held = isHeld ? "a legal hold" : "a lock or a policy of the bucket";
          throw objectRetained(where(name), `${held} keeps it${until === undefined ? "" : ` until ${until}`}`, error);
        }
      }
    },
  };
}
