import {
  type DeleteMarkerEntry,
  GetBucketVersioningCommand,
  ListObjectsV2Command,
  ListObjectVersionsCommand,
  type ObjectVersion,
  S3ServiceException,
} from "@aws-sdk/client-s3";
import { bucketError, type SourceBucket } from "./source-bucket.ts";

/** One object, one version of it, or the marker of its deletion, as a listing names it. */
export type ListedObject = {
  key: string;
  /** Empty where the listing tells none. */
  version: string;
  etag: string;
  size: number;
  modifiedMs: number;
  latest: boolean;
  deleted: boolean;
};

const WHAT = "Cannot list the bucket";

/** A page at a time, as the server gives them: memory holds one, whatever the bucket. */
export async function* listCurrent(from: SourceBucket): AsyncGenerator<ListedObject[]> {
  let ContinuationToken: string | undefined;
  do {
    const page = await asked(from, () =>
      from.s3.send(
        new ListObjectsV2Command({
          Bucket: from.bucket,
          Prefix: from.prefix,
          EncodingType: "url",
          ...(ContinuationToken === undefined ? {} : { ContinuationToken }),
        }),
        { abortSignal: from.signal },
      ),
    );
    const decode = decoder(page.EncodingType);
    yield (page.Contents ?? []).map(({ Key = "", ETag = "", Size = 0, LastModified }) => ({
      key: decode(Key),
      version: "",
      etag: ETag,
      size: Size,
      modifiedMs: LastModified?.getTime() ?? 0,
      latest: true,
      deleted: false,
    }));
    ContinuationToken = page.IsTruncated ? page.NextContinuationToken : undefined;
  } while (ContinuationToken !== undefined);
}

/** Every version and every marker of a deletion. */
export async function* listVersions(from: SourceBucket): AsyncGenerator<ListedObject[]> {
  let at: { KeyMarker?: string; VersionIdMarker?: string } = {};
  for (;;) {
    const command: ListObjectVersionsCommand = new ListObjectVersionsCommand({
      Bucket: from.bucket,
      Prefix: from.prefix,
      EncodingType: "url",
      ...at,
    });
    const page = await asked(from, () => from.s3.send(command, { abortSignal: from.signal }));
    const decode = decoder(page.EncodingType);
    const common = (each: ObjectVersion | DeleteMarkerEntry) => ({
      key: decode(each.Key ?? ""),
      version: each.VersionId ?? "null",
      modifiedMs: each.LastModified?.getTime() ?? 0,
      latest: each.IsLatest ?? false,
    });
    yield [
      ...(page.Versions ?? []).map((each) => ({
        ...common(each),
        etag: each.ETag ?? "",
        size: each.Size ?? 0,
        deleted: false,
      })),
      ...(page.DeleteMarkers ?? []).map((each) => ({ ...common(each), etag: "", size: 0, deleted: true })),
    ];
    if (!page.IsTruncated || page.NextKeyMarker === undefined) return;
    at = {
      KeyMarker: decode(page.NextKeyMarker),
      ...(page.NextVersionIdMarker === undefined ? {} : { VersionIdMarker: page.NextVersionIdMarker }),
    };
  }
}

/** Undefined: the server does not say, or we may not ask. */
export async function versioningOf(from: SourceBucket): Promise<"Enabled" | "Suspended" | "never" | undefined> {
  try {
    const command = new GetBucketVersioningCommand({ Bucket: from.bucket });
    const { Status } = await from.s3.send(command, { abortSignal: from.signal });
    return Status ?? "never";
  } catch (error) {
    // Without it nothing is less right: objects are then read while they are as they were listed.
    if (error instanceof S3ServiceException && (error.$metadata.httpStatusCode ?? 500) < 500) return undefined;
    throw bucketError(error, "Cannot ask the bucket for its versions", from.where(""));
  }
}

async function asked<Page>(from: SourceBucket, ask: () => Promise<Page>): Promise<Page> {
  try {
    return await ask();
  } catch (error) {
    throw bucketError(error, WHAT, from.where(from.prefix));
  }
}

/** XML cannot hold every character of a key, so keys are asked for in the encoding of forms. Some servers know none. */
function decoder(encoding: string | undefined): (text: string) => string {
  return encoding === "url" ? (text) => decodeURIComponent(text.replaceAll("+", " ")) : (text) => text;
}
