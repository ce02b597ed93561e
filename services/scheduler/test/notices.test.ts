import { DeleteObjectCommand, PutObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { runBackup } from "@stillpoint/contracts/commands";
import { BUCKETS } from "@stillpoint/contracts/topology";
import { inProcessService, testBus } from "@stillpoint/testkit/in-process-service";
import { ownNats } from "@stillpoint/testkit/nats";
import { ownS3 } from "@stillpoint/testkit/s3";
import { waitFor } from "@stillpoint/testkit/wait-for";
import { describe, expect, test } from "vitest";
import { noticeBook, tellsOfChange } from "../src/notices.ts";
import { service } from "../src/service.ts";

const SETTINGS = { STILLPOINT_SCHEDULER_TICK_MS: "20" };
const REVISION = "a".repeat(64);
const SUBJECT = "buckets.media";

test("an object that is written or deleted asks for a point, one for all of a span, and none for other prefixes", async () => {
  await using nats = await ownNats();
  await using s3 = await ownS3({ natsUrl: nats.url, subject: SUBJECT });
  const { endpoint, region, accessKeyId, secretAccessKey, bucket: Bucket } = s3;
  const client = new S3Client({
    endpoint,
    region,
    forcePathStyle: true,
    credentials: { accessKeyId, secretAccessKey },
  });
  await using bus = await testBus(nats);
  let now = Date.parse("2026-03-03T02:00:10.000Z");
  const clock = { now: () => now, monotonicMs: () => performance.now() };
  const runs: { dueAt: string | undefined; requestedBy: string }[] = [];
  await using _taking = await bus.takeCommands(runBackup, { concurrency: 1 }, async ({ body }) => {
    runs.push({ dueAt: body.dueAt, requestedBy: body.requestedBy });
  });
  const url = `s3://${Bucket}/in?endpoint=${endpoint}`;
  const bucket = { url, notify: { subject: SUBJECT, every: "1m" } };
  const plans = await bus.bucket(BUCKETS.plans);
  await plans.put("shop", {
    plan: "shop",
    revision: REVISION,
    definition: { sources: { media: { kind: "files", bucket } }, schedule: [] },
    acceptedAt: new Date(now).toISOString(),
  });
  await using scheduler = await inProcessService(
    service,
    nats,
    { ...SETTINGS, STILLPOINT_LOG_LEVEL: "debug" },
    { clock },
  );
  // A second replica hears the same, and asks for the same point.
  await using _second = await inProcessService(service, nats, SETTINGS, { clock });
  const heard = () => scheduler.lines.filter(({ message }) => message === "the bucket told of a change").length;
  const put = (Key: string) => client.send(new PutObjectCommand({ Bucket, Key, Body: "x" }));
  await waitFor("the first is heard", async () => {
    await put("in/a file + ü");
    return heard() > 0;
  });
  await put("elsewhere/b");
  const before = heard();
  await client.send(new DeleteObjectCommand({ Bucket, Key: "in/a file + ü" }));
  await waitFor("the deletion is heard", () => heard() > before);
  expect(runs).toEqual([]);
  now = Date.parse("2026-03-03T02:01:00.000Z");
  await waitFor("a point is asked for", () => runs.length > 0);
  expect(runs).toEqual([{ dueAt: "2026-03-03T02:01:00.000Z", requestedBy: "notification" }]);
  await put("in/c");
  // It is told of some time: at the end of the span in which it was heard, the next point is asked for.
  await waitFor("another point is asked for", () => {
    now += 1_000;
    return runs.length > 1;
  });
  expect(runs[1]).toMatchObject({ dueAt: expect.stringMatching(/:00\.000Z$/), requestedBy: "notification" });
  client.destroy();
});

describe("a notification", () => {
  const record = (eventName: string, key: string, name = "media") => ({
    Records: [{ eventName, s3: { bucket: { name }, object: { key } } }],
  });
  const rule = { url: "s3://media/in%20box" };

  test.each([
    ["Amazon's, with the key as in a form", record("ObjectCreated:Put", "in+box/%C3%BC"), true],
    ["with a plain key", record("s3:ObjectRemoved:DeleteMarkerCreated", "in box/100%"), true],
    ["of another prefix", record("s3:ObjectCreated:Put", "in boxes/a"), false],
    ["of another bucket", record("s3:ObjectCreated:Put", "in box/a", "other"), false],
    ["of a look at an object", record("s3:ObjectAccessed:Get", "in box/a"), false],
    ["of its own set-up", { Service: "Amazon S3", Event: "s3:TestEvent" }, false],
  ])("%s", (_, body, expected) => {
    expect(tellsOfChange(body, rule)).toBe(expected);
  });

  test("that is none is refused, so that it is logged", () => {
    expect(() => tellsOfChange({ hello: true }, rule)).toThrow();
  });

  test("of a clock that was far ahead silences nothing once it is right", () => {
    const book = noticeBook();
    book.heard("shop", 60_000, 86_400_000);
    book.heard("shop", 60_000, 1_000);
    expect(book.dueOf("shop", 59_999)).toBeUndefined();
    expect(book.dueOf("shop", 60_000)).toBe(60_000);
  });
});
