import { createHash, randomBytes } from "node:crypto";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import {
  DeleteObjectCommand,
  GetObjectCommand,
  ListObjectsV2Command,
  PutBucketVersioningCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { filesSource } from "@stillpoint/contracts/source";
import { filesDriver } from "@stillpoint/driver-files/files-driver";
import { ownBucket } from "@stillpoint/testkit/s3";
import { describe, expect, it } from "vitest";
import { commandIn } from "./command-in.ts";
import { POINT_ID, type SourceUnderTest, startExport } from "./export-fixture.ts";

async function bucketWithClient() {
  const facts = await ownBucket();
  const { bucket: Bucket, endpoint, region, accessKeyId, secretAccessKey } = facts;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  return {
    Bucket,
    client,
    environment: { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey },
    secret: (reference: string) => (reference.includes("SECRET") ? secretAccessKey : accessKeyId),
    url: (prefix: string) => `s3://${Bucket}/${prefix}?endpoint=${endpoint}`,
    put: (Key: string, Body: string | Buffer, rest: object = {}) =>
      client.send(new PutObjectCommand({ Bucket, Key, Body, ...rest })),
    async objects(prefix: string) {
      const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: prefix }));
      return await Promise.all(
        Contents.map(async ({ Key = "" }) => {
          const { Body, ContentType, CacheControl, Metadata } = await client.send(
            new GetObjectCommand({ Bucket, Key }),
          );
          const bytes = Buffer.from((await Body?.transformToByteArray()) ?? []);
          const sum = createHash("sha256").update(bytes).digest("hex");
          return { key: Key.slice(prefix.length), sum, ContentType, CacheControl, Metadata };
        }),
      );
    },
    [Symbol.dispose]: () => client.destroy(),
  };
}

describe("stillpoint restore --to s3://", () => {
  it("puts every object back with what it carries, over what the finish changed, and refuses a prefix that is in use", async () => {
    using bucket = await bucketWithClient();
    const { client, Bucket } = bucket;
    const versioned = { Bucket, VersioningConfiguration: { Status: "Enabled" as const } };
    await client.send(new PutBucketVersioningCommand(versioned));
    const large = randomBytes(7_000_000);
    await bucket.put("in/large", large, { ContentType: "video/x-large", Metadata: { take: "7" } });
    for (let at = 0; at < 10; at += 1) await bucket.put(`in/small/${at}`, `${at}`, { CacheControl: `max-age=${at}` });
    await bucket.put("in/empty", Buffer.alloc(0));
    await bucket.put("in/ä + b", "old version");
    await bucket.put("in/ä + b", "current");
    await bucket.put("in/gone", "gone");
    await client.send(new DeleteObjectCommand({ Bucket, Key: "in/gone" }));

    await using bench = await startExport();
    const spec = filesSource.parse({ kind: "files", bucket: { url: bucket.url("in"), versions: "all" } });
    const media = { name: "media", driver: filesDriver, spec, secret: bucket.secret };
    await bench.seal([media as unknown as SourceUnderTest]); // the driver's type is of its own kind of source
    const expected = await bucket.objects("in/");
    const command = commandIn(bench.directory, bucket.environment);
    const words = ["restore", POINT_ID, ...bench.where.slice(0, 4)];

    const planned = await command(...words, "--to", bucket.url("out"), "--dry-run");
    expect(planned).toMatchObject({ code: 0, out: expect.stringContaining("13 objects") });
    expect(planned.err).toContain("3 noncurrent versions and deletions");
    expect(await bucket.objects("out/")).toEqual([]);

    const restored = await command(...words, "--to", bucket.url("out"), "--json");
    expect(restored.err).toContain("✓ media");
    expect(JSON.parse(restored.out)).toMatchObject({ objects: 13, older: 3 });
    expect(await bucket.objects("out/")).toEqual(expected);

    const again = await command(...words, "--to", bucket.url("out"));
    expect(again).toMatchObject({ code: 4, err: expect.stringContaining("out/") });
    await bucket.put("out/small/3", "spoilt");
    await bucket.put("out/other", "somebody's");
    expect((await command(...words, "--to", bucket.url("out"), "--over")).code).toBe(0);
    expect(await bucket.objects("out/small/")).toEqual(await bucket.objects("in/small/"));
    expect((await bucket.objects("out/")).map(({ key }) => key)).toContain("other");
  });

  it("says of a source that was captured from directories that it cannot", async () => {
    using bucket = await bucketWithClient();
    await using bench = await startExport();
    const file = join(bench.directory, "file");
    await writeFile(file, "x");
    const spec = filesSource.parse({ kind: "files", paths: [file] });
    await bench.seal([{ name: "files", driver: filesDriver, spec } as unknown as SourceUnderTest]); // as above
    const command = commandIn(bench.directory, bucket.environment);
    const words = ["restore", POINT_ID, ...bench.where.slice(0, 4), "--to", bucket.url("out")];
    expect(await command(...words)).toMatchObject({ err: expect.stringContaining("was not captured from one") });
  });
});
