import type { FilesSource } from "@stillpoint/contracts/source";
import type { Driver } from "@stillpoint/driver/driver";
import { openBucketCapture } from "./bucket/capture-bucket.ts";
import { bucketAddress } from "./bucket/source-bucket.ts";
import { openCapture } from "./capture.ts";
import { startSandbox } from "./sandbox.ts";
import { watchPaths } from "./watch/watch-paths.ts";

/**
 * The objects of an S3 bucket, or directories, files and globs. The tree's top has one name for each captured path
 * (roots.ts); mode, owner, time, links, holes and extended attributes are kept.
 */
export const filesDriver: Driver<FilesSource> = {
  kind: "files",
  usesEarlier: true,
  open: (source, context) =>
    source.bucket === undefined
      ? openCapture(source, context)
      : openBucketCapture({ ...source, bucket: source.bucket }, context),
  watch: (source, options, context) => watchPaths(source, options, context),
  layout: () => [],
  runtimes: async () => ["files"],
  start: startSandbox,
  addresses: ({ bucket }) => (bucket === undefined ? [] : [bucketAddress(bucket)]),
};
