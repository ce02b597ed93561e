import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  type S3Client,
  UploadPartCommand,
} from "@aws-sdk/client-s3";
import { type LargeObjects, partBytes } from "./large-objects.ts";
import { objectExists } from "./object-errors.ts";
import { assertObjectName } from "./object-name.ts";
import { fromS3, statusOf } from "./s3-errors.ts";
import type { S3Place } from "./s3-place.ts";

export type S3LargeOptions = {
  createsAtomically: (signal?: AbortSignal) => Promise<boolean>;
  isThere: (name: string, signal?: AbortSignal) => Promise<boolean>;
};

/** Multipart uploads. What a process that was killed had begun, a bucket's rule for incomplete uploads takes away. */
export function s3Large(s3: S3Client, { Bucket, keyOf, where }: S3Place, options: S3LargeOptions): LargeObjects {
  const what = "Cannot write an object";
  return {
    partBytes,
    async begin(name, signal) {
      assertObjectName(name);
      const at = { Bucket, Key: keyOf(name) };
      const abort = signal === undefined ? {} : { abortSignal: signal };
      const asked = async <Answer>(call: () => Promise<Answer>): Promise<Answer> => {
        try {
          return await call();
        } catch (error) {
          throw fromS3(error, what, where(name));
        }
      };
      const { UploadId } = await asked(() => s3.send(new CreateMultipartUploadCommand(at), abort));
      const upload = { ...at, UploadId };
      const parts: { PartNumber: number; ETag: string | undefined }[] = [];
      const write = async (part: Uint8Array): Promise<void> => {
        const PartNumber = parts.length + 1;
        const command = new UploadPartCommand({ ...upload, PartNumber, Body: part, ContentLength: part.length });
        const { ETag } = await asked(() => s3.send(command, abort));
        parts.push({ PartNumber, ETag });
      };
      return {
        write,
        async finish() {
          // S3 makes no object of no parts.
          if (parts.length === 0) await write(new Uint8Array(0));
          const isAtomic = await options.createsAtomically(signal);
          if (!isAtomic && (await options.isThere(name, signal))) throw objectExists(name);
          const command = new CompleteMultipartUploadCommand({
            ...upload,
            MultipartUpload: { Parts: parts },
            ...(isAtomic ? { IfNoneMatch: "*" } : {}),
          });
          try {
            await s3.send(command, abort);
          } catch (error) {
            if (statusOf(error) === 412) throw objectExists(name);
            throw fromS3(error, what, where(name));
          }
        },
        async abandon() {
          await asked(() => s3.send(new AbortMultipartUploadCommand(upload)));
        },
      };
    },
  };
}
