import { randomBytes } from "node:crypto";
import { mkdirSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { GetObjectCommand, ListObjectsV2Command, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { queryPoints } from "@stillpoint/contracts/queries";
import { judge } from "@stillpoint/sample/bounds";
import { readJournal } from "@stillpoint/sample/journal";
import { ownBucket } from "@stillpoint/testkit/s3";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { restore } from "../src/restore.ts";
import { restoredSequences, startTestSystem, type TestSystem } from "./system-fixture.ts";

describe("the system on one machine", () => {
  let test: TestSystem;
  let s3: { client: S3Client; bucket: string; url: (prefix: string) => string };
  let environment: Record<string, string>;
  beforeAll(async () => {
    const { bucket, endpoint, region, accessKeyId, secretAccessKey } = await ownBucket();
    const credentials = { accessKeyId, secretAccessKey };
    const client = new S3Client({ endpoint, region, forcePathStyle: true, credentials });
    s3 = { client, bucket, url: (prefix) => `s3://${bucket}/${prefix}?endpoint=${endpoint}` };
    environment = { AWS_ACCESS_KEY_ID: accessKeyId, AWS_SECRET_ACCESS_KEY: secretAccessKey };
    test = await startTestSystem({
      isolate: false,
      validate: false,
      environment,
      planFile: (plan, directory) => {
        mkdirSync(join(directory, "notes"));
        const notes = { kind: "files", paths: [join(directory, "notes")], watch: { every: "1s" } };
        const media = { kind: "files", bucket: { url: s3.url("in") } };
        return { plans: { demo: plan, notes: { sources: { notes } }, media: { sources: { media } } } };
      },
    });
  });
  afterAll(async () => {
    s3?.client.destroy();
    await test[Symbol.asyncDispose]();
  });

  it("makes a fenced point while the sample is written to, and a restore holds exactly what was acknowledged before it", async () => {
    const point = await test.backUp();
    expect(point.cut).toMatchObject({ consistency: "fenced", heldThroughout: true, reasons: [] });
    await using repository = await test.repository();
    const found = await restoredSequences(repository, point, join(test.directory, "restored"));
    const entries = readJournal(test.sample.journalPath);
    const fences = entries.filter((entry) => entry.event === "confirmed");
    expect(fences).toHaveLength(1);
    for (const present of found.values()) {
      expect(Math.max(...present)).toBe(point.cut.sequence);
      expect(judge(entries, fences[0]?.fenceId ?? "", present)).toEqual({ missing: [], returned: [], late: [] });
    }
  });

  it("makes a point of watched files when one of them changes, with nobody asking for it", async () => {
    const notes = join(test.directory, "notes");
    await writeFile(join(notes, "one"), "first");
    const sealed = async (after: number) => {
      const { points } = await test.bus.request(queryPoints, {}, { plan: "notes" }, { timeoutMs: 30_000 });
      return points.map(({ point }) => point).find(({ startedAt }) => Date.parse(startedAt) > after);
    };
    // What was there when the watch began asks for one, too.
    await waitFor("the watch has begun", () => sealed(0));
    const changedMs = Date.now();
    await writeFile(join(notes, "one"), "second");
    const point = await waitFor("a point is sealed", () => sealed(changedMs));
    const to = join(test.directory, "notes-back");
    await restore(test.world, point.pointId, { to, over: false, dryRun: false, thaw: false });
    expect(await readFile(join(to, "notes", "notes", "one"), "utf8")).toBe("second");
  });

  it("puts the objects of a bucket back into one by a running vault", async () => {
    const { client, bucket: Bucket } = s3;
    const content = randomBytes(300_000);
    const given = { Bucket, Key: "in/large", Body: content, ContentType: "video/x-large", Metadata: { take: "7" } };
    await client.send(new PutObjectCommand(given));
    await client.send(new PutObjectCommand({ Bucket, Key: "in/small", Body: "small" }));
    const point = await test.backUp("media");
    const world = { ...test.world, environment: { ...test.world.environment, ...environment } };
    await restore(world, point.pointId, { to: s3.url("out"), over: false, dryRun: false, thaw: false });
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket, Prefix: "out/" }));
    expect(Contents.map(({ Key }) => Key)).toEqual(["out/large", "out/small"]);
    const back = await client.send(new GetObjectCommand({ Bucket, Key: "out/large" }));
    expect(back).toMatchObject({ ContentType: "video/x-large", Metadata: { take: "7" } });
    expect(content.equals((await back.Body?.transformToByteArray()) ?? Buffer.alloc(0))).toBe(true);
  });
});
